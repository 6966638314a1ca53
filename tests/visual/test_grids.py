"""Grids of images: sizes, names, faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFont

from toolbox.visual.grids import GAP, MARGIN, image_grid, save_grid, wrapped


def test_every_tile_stands_where_it_should() -> None:
    """Image 4 of a three-column grid is the second of the second row; pixels are repeated, not blurred."""
    images = torch.linspace(-1, 1, 6)[:, None, None, None].expand(6, 3, 4, 4)
    grid = image_grid(images, columns=3, scale=2)
    pitch = 8 + GAP
    tile = grid[MARGIN + pitch : MARGIN + pitch + 8, MARGIN + pitch : MARGIN + pitch + 8]
    assert grid.dtype == np.uint8 and grid.shape == (2 * pitch + 2 * MARGIN, 3 * pitch + 2 * MARGIN, 3)
    assert (tile == round((images[4, 0, 0, 0].item() + 1) * 127.5)).all()


@pytest.mark.parametrize(("size", "factor"), [(8, 4), (32, 3), (64, 2), (256, 1)])
def test_small_images_are_enlarged(size: int, factor: int) -> None:
    grid = image_grid(torch.zeros(1, 3, size, size))
    assert grid.shape[0] == size * factor + GAP + 2 * MARGIN


def test_a_wide_grid_is_not_enlarged_beyond_reason() -> None:
    assert image_grid(torch.zeros(100, 3, 32, 32), columns=100).shape[1] < 4000


def test_names_and_title_take_room_and_leave_ink() -> None:
    images = torch.ones(4, 3, 32, 32)
    plain = image_grid(images, 2)
    named = image_grid(images, 2, ["trouser", "ankle boot"], ["a", "b"], title="Classes")
    assert named.shape[0] > plain.shape[0] and named.shape[1] > plain.shape[1]
    assert (plain == 255).all() and (named < 100).any()


def test_a_long_name_is_cut() -> None:
    assert image_grid(torch.zeros(1, 3, 8, 8), row_names=["x" * 500]).shape[1] < 500


def test_a_caption_goes_on_in_the_next_line() -> None:
    """Over, beside and under the images; whole words, and dots where there is no more room."""
    font = ImageFont.load_default(13)
    text = "a small bird with a red head and a very long tail"
    lines = wrapped(text, font, 100, 9)
    assert " ".join(lines) == text and max(map(font.getlength, lines)) <= 100
    assert wrapped(text, font, 100, 2)[1].endswith("...") and wrapped("", font, 100, 2) == []
    images = torch.ones(4, 3, 32, 32)
    plain = image_grid(images, 2, scale=4)
    over = image_grid(images, 2, column_names=["a", text], scale=4)
    under = image_grid(images, 2, captions=["a", text, "b", ""], scale=4)
    beside = image_grid(images, 2, [text * 2, "b"], scale=4)
    assert over.shape[0] > plain.shape[0] + 2 * 16 and under.shape[0] > plain.shape[0] + 4 * 16
    assert beside.shape[0] == plain.shape[0] and beside.shape[1] < plain.shape[1] + 340
    assert all((grid < 120).any() for grid in (over, under, beside))


def test_values_outside_and_nan_are_drawn() -> None:
    images = torch.stack([torch.full((3, 4, 4), value) for value in (5.0, -5.0, float("nan"))])
    grid = image_grid(images, scale=1)
    row = grid[MARGIN, MARGIN : MARGIN + 3 * (4 + GAP) : 4 + GAP, 0]
    assert row.tolist() == [255, 0, 128]


def test_saved_file_equals_the_grid(tmp_path: Path) -> None:
    """Folders are made, nothing but the PNG is left behind."""
    images = torch.rand(5, 3, 8, 8) * 2 - 1
    path = save_grid(images, tmp_path / "a" / "grid.png", columns=4)
    assert (np.array(Image.open(path)) == image_grid(images, columns=4)).all()
    assert [file.name for file in path.parent.iterdir()] == ["grid.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (dict(images=torch.zeros(0, 3, 8, 8)), "at least one image"),
        (dict(images=torch.zeros(2, 1, 8, 8)), r"images has shape \(2, 1, 8, 8\)"),
        (dict(images=torch.zeros(2, 3, 8, 8), columns=0), "columns=0"),
        (
            dict(images=torch.zeros(4, 3, 8, 8), columns=2, row_names=["a"]),
            "row_names has 1 entries for 2 places",
        ),
        (dict(images=torch.zeros(4, 3, 8, 8), columns=2, column_names=list("abc")), "column_names has 3"),
        (dict(images=torch.zeros(4, 3, 8, 8), columns=2, captions=["a"]), "captions has 1 entries for 4"),
    ],
)
def test_faults_are_named(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        image_grid(**arguments)  # type: ignore[arg-type]
