"""The pictures of a merge tree are written, whole tree or stopped early."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toolbox_klish.klish import KLiSH
from toolbox_klish.pictures import draw_iou, draw_tree, leaf_places
from toolbox_klish.toy import curved_clusters


@pytest.mark.parametrize("settings", [dict(clusters=12), dict(clusters=5, first=12)])
def test_tree_and_curve(settings: dict[str, int], tmp_path: Path) -> None:
    X, _ = curved_clusters(rows=400, width=6, classes=4)
    model = KLiSH(C=100.0, filter_sigma=None, **settings).fit(X)
    for draw in (draw_tree, draw_iou):
        path = draw(model, tmp_path / "new" / f"{draw.__name__}.png", "a title")
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        assert pixels.shape[0] > 300 and pixels.shape[1] > 900 and pixels.std() > 10


def test_branches_do_not_cross() -> None:
    """Every node of the tree spans neighbouring leaves."""
    X, _ = curved_clusters(rows=400, width=6, classes=4)
    model = KLiSH(12, C=100.0, filter_sigma=None).fit(X)
    places = leaf_places(model)
    inside = {leaf: [leaf] for leaf in range(12)}
    for kept, removed, node in model.nodes_.tolist():
        inside[node] = inside[kept] + inside[removed]
        spanned = np.sort(places[inside[node]])
        np.testing.assert_array_equal(spanned, np.arange(spanned[0], spanned[0] + len(spanned)))
