"""Colours, sheets, pictures of a merge tree: exact where a pixel can be known, elsewhere not empty."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from toolbox_klish.algorithm.klish import KLiSH
from toolbox_klish.algorithm.merge import union_places
from toolbox_klish.pictures import (
    Panel,
    confidence,
    distinct_colours,
    draw_bars,
    draw_clusters,
    draw_grid,
    draw_iou,
    draw_maps,
    draw_step,
    draw_strip,
    draw_tree,
    leaf_places,
    matched_colours,
    merge_step,
    paint,
    tree_colours,
)
from toolbox_klish.pictures.clusters import best_samples, faded
from toolbox_klish.pictures.palette import oklab
from toolbox_klish.pictures.sheet import Sheet, tile_size
from toolbox_klish.pictures.shown import Shown
from toolbox_klish.pictures.step import heat, heat_scale
from toolbox_klish.toy import curved_clusters


@pytest.fixture(scope="module")
def tree() -> KLiSH:
    return KLiSH(12, C=100.0, filter_sigma=None).fit(curved_clusters(rows=400, width=6, classes=4)[0])


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_lightness_and_hue_of_known_colours() -> None:
    """White is (1, 0, 0), black 0; red as in the definition of OKLab."""
    np.testing.assert_allclose(
        oklab([[255, 255, 255], [0, 0, 0], [255, 0, 0]]),
        [[1, 0, 0], [0, 0, 0], [0.62796, 0.22486, 0.12585]],
        atol=2e-4,
    )


def test_colours_differ_and_fewer_are_the_beginning_of_more() -> None:
    colours = distinct_colours(100)
    assert np.array_equal(colours[:7], distinct_colours(7)) and len(np.unique(colours, axis=0)) == 100
    lab = oklab(colours)
    away = np.sqrt(((lab[:, None] - lab[None]) ** 2).sum(axis=2)) + np.eye(100)
    assert away[:12, :12].min() > 0.13 and away.min() > 0.06


def test_a_cluster_keeps_its_colour_until_a_larger_one_takes_it(tree: KLiSH) -> None:
    for k in range(2, 12):
        before = tree_colours(tree, k + 1)
        after = tree_colours(tree, k)
        assert set(map(tuple, after)) == set(map(tuple, distinct_colours(k)))
        moved = union_places(tree.merges_[12 - k - 1 : 12 - k], k + 1, k)
        sizes = tree.sizes_[12 - k - 1]
        for place in range(k):
            parts = np.flatnonzero(moved == place)
            assert tuple(after[place]) == tuple(before[parts[sizes[parts].argmax()]])
    with pytest.raises(ValueError, match=r"k=13: the tree has 1 to 12 clusters"):
        tree_colours(tree, 13)


def test_another_clustering_takes_the_colours_of_what_it_shares() -> None:
    reference = np.repeat([0, 1, 2], 100)
    colours = distinct_colours(3)
    swapped = np.array([2, 0, 1])[reference]
    matched = matched_colours(swapped, 3, reference, colours)
    np.testing.assert_array_equal(matched[swapped], colours[reference])
    split = np.where(np.arange(300) < 20, 3, swapped)
    found = matched_colours(split, 4, reference, colours)
    np.testing.assert_array_equal(found[:3], colours[[1, 2, 0]])
    assert tuple(found[3]) not in map(tuple, colours)


def test_painted_pixels_are_the_colours() -> None:
    labels = np.array([[[0, 1], [2, 0]]])
    painted = ((paint(labels, distinct_colours(3)) + 1) * 127.5).round().permute(0, 2, 3, 1)
    np.testing.assert_array_equal(painted.numpy().astype(np.uint8), distinct_colours(3)[labels])


def test_a_sheet_holds_its_tiles_pixel_by_pixel() -> None:
    colours = distinct_colours(4)
    sheet = Sheet([1, 1], size=2)
    sheet.row(["one", "two"], paint(np.array([[[0, 1], [2, 3]], [[3, 3], [3, 3]]]), colours))
    drawn = sheet.draw()
    for colour in colours:
        share = (drawn == colour).all(axis=2).sum() / sheet.tile**2
        assert share == pytest.approx(1.25 if tuple(colour) == tuple(colours[3]) else 0.25)
    with pytest.raises(ValueError, match="tiles holds 3 images, the sheet has 2 columns"):
        sheet.row("", torch.zeros(3, 3, 2, 2))


@pytest.mark.parametrize(
    ("columns", "size", "tile"),
    [(8, 64, 128), (8, 16, 144), (12, 256, 130), (12, 64, 128), (30, 64, 64), (8, 30, 120)],
)
def test_tiles_are_whole_multiples_of_maps_that_fit(columns: int, size: int, tile: int) -> None:
    assert tile_size(columns, size) == tile


def test_each_cluster_is_shown_where_it_is_largest_and_alone_in_colour(
    images: torch.Tensor, tmp_path: Path
) -> None:
    labels = np.zeros((3, 8, 8), dtype=np.int64)
    labels[1, :4] = 1
    labels[2, :2] = 1
    assert best_samples(labels, 1, 2).tolist() == [1, 2]
    grey = faded(images)
    assert bool((grey[:, 0] == grey[:, 2]).all()) and float(grey.min()) >= 0.2
    texts = ["0\n80 %", "1\n20 %"]
    drawn = pixels(draw_clusters(images, labels, texts, tmp_path / "a.png", "title", columns=2))
    assert drawn.shape[0] > 2 * 144 and (drawn.std(axis=2) > 5).sum() > 144 * 144


def test_pictures_of_maps_are_written(images: torch.Tensor, tmp_path: Path) -> None:
    labels = np.arange(3 * 64).reshape(3, 8, 8) % 5
    colours = distinct_colours(5)
    texts = [f"{k}: 20.0 %" for k in range(5)]
    drawn = pixels(draw_maps(images, labels, colours, texts, tmp_path / "maps.png", "title", columns=2))
    for colour in colours:
        assert (drawn == colour).all(axis=2).sum() > 3 * 144 * 144 // 6
    maps = {k: paint(labels % k, distinct_colours(k)) for k in (5, 3, 2)}
    assert pixels(draw_strip(images[:2], maps, tmp_path / "strip.png", "title", columns=2)).shape[0] > 4 * 144
    panels = [
        Panel("A", images, {"K = 5": {"KLiSH": maps[5], "K-means": maps[5]}}),
        Panel("B", images[:2], {"K = 5": {"KLiSH": maps[5][:2]}}),
    ]
    sheet = pixels(draw_grid(panels, tmp_path / "grid.png", "title"))
    assert sheet.shape[1] > 5 * 100 and (sheet == round((0.72 + 1) * 127.5)).all(axis=2).sum() > 2 * 100 * 100


def test_the_step_is_that_of_the_records(tree: KLiSH, images: torch.Tensor, tmp_path: Path) -> None:
    for k in (12, 5, 2):
        step, row = merge_step(tree, k), 12 - k
        assert (step.kept, step.removed) == tuple(tree.merges_[row, 1:])
        assert step.iou == tree.iou_[row, :k].min() and step.ecos == tree.ecos_[row, :k].max()
        assert (step.runner_up is None) == (k == 2)
        assert k == 2 or step.ecos_runner_up == np.sort(tree.ecos_[row, :k])[-2]
    with pytest.raises(ValueError, match=r"k=13: merges are recorded from k=12 down to 2"):
        merge_step(tree, 13)
    step = merge_step(tree, 5)
    maps = paint(np.zeros((3, 8, 8), dtype=np.int64), distinct_colours(1))
    assert step.runner_up is not None
    sure = dict.fromkeys((step.removed, step.kept, step.runner_up), torch.ones(3, 8, 8))
    path = draw_step(step, images, maps, maps, sure, distinct_colours(5), tmp_path / "step.png", "title")
    drawn = pixels(path)
    assert (drawn == heat_scale()[255]).all(axis=2).sum() >= 9 * 144 * 144


def test_confidence_is_that_of_equation_5() -> None:
    scores = torch.tensor([[[-3.0, -1.0], [0.0, 7.0]]])
    assert confidence(scores).tolist() == [[[0.0, 0.0], [0.5, 1.0]]]
    assert heat(confidence(scores)).shape == (1, 3, 2, 2)


@pytest.mark.parametrize(
    "settings", [pytest.param(dict(clusters=12), marks=pytest.mark.slow), dict(clusters=5, first=12)]
)
def test_tree_and_curves(settings: dict[str, int], tmp_path: Path) -> None:
    X, _ = curved_clusters(rows=400, width=6, classes=4)
    model = KLiSH(C=100.0, filter_sigma=None, **settings).fit(X)
    for path in (
        draw_tree(model, tmp_path / "new" / "tree.png", "a title", final=5),
        draw_tree(model, tmp_path / "end.png", leaves=8),
        draw_iou(model, tmp_path / "iou.png", "a title", final=5),
        draw_bars(model.iou_[0, :12], [str(k) for k in range(12)], tmp_path / "bars.png", "a title"),
    ):
        drawn = pixels(path)
        assert drawn.shape[0] > 300 and drawn.shape[1] > 900 and drawn.std() > 10
    with pytest.raises(ValueError, match=r"leaves=13: merges are recorded from 12 clusters down to"):
        draw_tree(model, tmp_path / "no.png", leaves=13)


def test_a_notebook_shows_pictures_and_pages(tree: KLiSH, images: torch.Tensor, tmp_path: Path) -> None:
    drawn = draw_tree(tree, tmp_path / "tree.png")
    assert isinstance(drawn, Path) and drawn == tmp_path / "tree.png"
    assert drawn._repr_png_() == (tmp_path / "tree.png").read_bytes() and drawn._repr_html_() is None
    maps = draw_maps(images, np.zeros((3, 8, 8), dtype=int), distinct_colours(1), ["all"], tmp_path / "m.png")
    assert maps._repr_png_().startswith(b"\x89PNG") and drawn.parent._repr_png_() is None
    (tmp_path / "report.html").write_text('<p class="a">a & b</p>')
    page = Shown(tmp_path / "report.html")
    assert (
        'srcdoc="&lt;p class=&quot;a&quot;&gt;a &amp; b' in page._repr_html_() and page._repr_png_() is None
    )


def test_branches_do_not_cross(tree: KLiSH) -> None:
    """Every node of the tree spans neighbouring leaves."""
    for leaves in (12, 7):
        steps = tree.merges_[12 - leaves :]
        places = leaf_places(steps, leaves)
        inside = [[leaf] for leaf in range(leaves)]
        for _, kept, removed in steps.tolist():
            inside[kept] += inside[removed]
            del inside[removed]
            for group in inside:
                spanned = np.sort(places[group])
                np.testing.assert_array_equal(spanned, np.arange(spanned[0], spanned[0] + len(spanned)))
