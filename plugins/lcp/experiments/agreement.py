"""How far unsupervised clusters find known sub-categories, by feature extractor; no GAN is trained:

    python plugins/lcp/experiments/agreement.py --seeds 0 1 2

In each class soft k-means is fitted on 40 images; every image of the class is assigned. The figure is the
mean over classes of the adjusted mutual information with the known factor (0 = chance, 1 = the same).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))
from toolbox.source_tree import use_source_tree

use_source_tree(ROOT)

from plugins.lcp.experiments.table import GROUPS, cell
from toolbox.data.base import to_tensor
from toolbox.metrics.functional.clustering import agreement_per_class
from toolbox.registry import build

EXTRACTORS = ("TinyConvFeatures", "PooledPixels", "EmbeddedClipFeatures")
FASHION = dict(type="RelabelledSet", source=dict(type="EmbeddedFashion"), groups=GROUPS)
EMOJI = dict(type="EmbeddedEmoji", image_size=32)
SETS = {  # title: (data set, factor, clusters a class)
    "Fashion-MNIST, 3 coarse classes": (FASHION, "fine", 3),
    "Noto emoji, 9 categories": (EMOJI, "subcategory", 5),
}


@torch.no_grad()
def features_of(source: Any, extractor: Any, batch: int = 200) -> np.ndarray:
    """(N, d) features of all images."""
    parts = []
    for rows in torch.arange(len(source)).split(batch):
        images = torch.stack([to_tensor(source.image(int(i))) for i in rows])
        parts.append(extractor(images))
    return torch.cat(parts).numpy()


def agreement(
    features: np.ndarray, labels: np.ndarray, factor: np.ndarray, clusters: int, seed: int, labelled: int = 40
) -> float:
    """Fit on ``labelled`` images a class, assign all; mean AMI over classes."""
    rng = np.random.default_rng(seed)
    found = np.zeros(len(labels), dtype=np.int64)
    for y in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == y))
        torch.manual_seed(seed)
        clusterer = build(dict(type="SoftKMeans", clusters=clusters))
        found[rows] = clusterer.fit(features[rows[:labelled]]).predict(features[rows])
    return agreement_per_class(found, factor, labels)


def main(words: Sequence[str] | None = None) -> int:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    arguments = parser.parse_args(words)
    print("| features | " + " | ".join(SETS) + " |\n|---|" + "---|" * len(SETS))
    for name in EXTRACTORS:
        extractor = build(dict(type=name)).eval()
        cells = []
        for config, factor, clusters in SETS.values():
            source = build(config)
            features = features_of(source, extractor)
            values = [
                agreement(features, source.labels, source.factors[factor], clusters, seed)
                for seed in arguments.seeds
            ]
            cells.append(cell(values))
        print(f"| {extractor.name} | " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
