"""Plugins meet in configs: KLiSH's clusterers inside LCP's classes, by the one line that the shipped configs
have.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from toolbox.config import load_config
from toolbox_lcp.intra_class import IntraClassClusters
from toolbox_lcp.layout import ClusterLayout

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize("name", ["klish", "kasp", pytest.param("ahc", marks=pytest.mark.slow), "kmeans"])
def test_any_clusterer_inside_a_class(name: str) -> None:
    """Two classes of three blobs each: found, and the same after a state dict."""
    config = load_config(CONFIGS / f"lcp_cifar_{name}.py", quick=True).model.conditioner.clusterer.to_dict()
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((6, 4)) * 6
    features, blob = centres.repeat(150, axis=0) + rng.standard_normal((900, 4)), np.arange(6).repeat(150)
    features, labels = features.astype(np.float32), blob // 3
    layout = ClusterLayout(["one", "other"], 3)
    clusters = IntraClassClusters(layout, config).fit(features, labels)
    assert clusters.sizes.tolist() == [3, 3]
    found = clusters.assign(features, labels)
    assert (
        all(len(set(found[blob == number])) == 1 for number in range(6))
        and len(set(zip(labels, found, strict=True))) == 6
    )
    other = IntraClassClusters(layout, config)
    other.load_state_dict(clusters.state_dict())
    assert torch.equal(torch.from_numpy(other.assign(features, labels)), torch.from_numpy(found))
