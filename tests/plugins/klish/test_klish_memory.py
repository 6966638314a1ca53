"""Features that do not fit: read block by block, in the memory that the estimate says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toolbox_klish.algorithm.klish import KLiSH
from toolbox_klish.cost import MACHINES, estimate
from toolbox_klish.storage import save_features
from toolbox_klish.toy import curved_clusters

ROWS, WIDTH, CLUSTERS = 200_000, 16, 24
PEAK = """
import resource, sys
import numpy as np
import sklearn.cluster
from toolbox_klish.algorithm.klish import KLiSH

features = np.load(sys.argv[1], mmap_mode="r")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
KLiSH(clusters=23, first=24, filter_sigma=None, kmeans_steps=2, kmeans_sample=2000).fit(features)
print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
"""


class GeneratorStream:
    """Chunks of unequal length, made anew in every pass as a generator network makes them."""

    def __init__(self, chunks: int) -> None:
        self.chunks = chunks
        self.passes = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        self.passes += 1
        for number in range(self.chunks):
            rows = 700 + 100 * (number % 3)
            yield curved_clusters(rows, width=6, classes=4, seed=7, noise=0.5 + 0.01 * number)[0]


@pytest.mark.slow
def test_memory_is_what_the_estimate_says(tmp_path: Path) -> None:
    """Bytes for each row: the confidences of all clusters, and the scores of those trained together."""
    file = tmp_path / "features.npy"
    save_features(file, [curved_clusters(ROWS, WIDTH, 8)[0]], ROWS, WIDTH, "float16")
    words = [sys.executable, "-c", PEAK, str(file)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    cost = estimate(ROWS, WIDTH, CLUSTERS, MACHINES["core"], bytes_each=2)
    assert cost.memory < ROWS * (2 * WIDTH + 4 * CLUSTERS + 4 * 8 * 16 + 2 * WIDTH) + 2**20
    beside = 100 * 2**20  # blocks in flight, and what libraries allocate at first use
    assert int(done.stdout) < 1.2 * cost.memory + beside
    assert cost.memory < ROWS * 1000


@pytest.mark.slow
def test_a_stream_gives_the_tree_of_the_array_in_few_passes() -> None:
    stream = GeneratorStream(12)
    settings: dict[str, Any] = dict(clusters=8, C=100.0, filter_sigma=None, precision="float64")
    found = KLiSH(**settings).fit(stream)
    expected = KLiSH(**settings).fit(np.concatenate(list(GeneratorStream(12))))
    np.testing.assert_array_equal(found.merges_, expected.merges_)
    np.testing.assert_allclose(found.iou_, expected.iou_)
    np.testing.assert_array_equal(found.labels_, expected.labels_)
    for k in (2, 5, 8):
        np.testing.assert_allclose(found.cut(k).weight_, expected.cut(k).weight_, atol=1e-8)
    assert stream.passes < 130  # a dozen a merge would be trained on all rows, and as many for k-means
