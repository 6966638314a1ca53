"""The pictures of a run: every row shows what its name says, however few images a class has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from toolbox.data.base import ArraySet
from toolbox.visual import pictures
from toolbox.visual.pictures import draw_captioned, draw_classes, real_set

COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
WHITE = (255, 255, 255)
NAMES = ["red", "green", "blue"]


def coloured(counts: Sequence[int]) -> ArraySet:
    """So many images of one colour in each class."""
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.array(COLOURS, dtype=np.uint8)[labels][:, None, None].repeat(8, 1).repeat(8, 2)
    return ArraySet(images, labels, NAMES[: len(counts)])


@pytest.mark.parametrize("counts", [(20, 5, 20), (3, 5), (2, 0, 1), (30, 30, 30)])
def test_a_row_of_real_images_is_of_its_class(
    counts: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(pictures, "save_grid", keep_and_draw(saved, pictures.save_grid))
    sampler = SimpleNamespace(
        class_names=NAMES[: len(counts)],
        requests=lambda: {"class": {}},
        sheet=lambda columns, rows: (torch.zeros(columns, 3, 8, 8), []),
    )
    draw_classes(sampler, coloured(counts), tmp_path)  # type: ignore[arg-type]
    assert (tmp_path / "pictures" / "real.png").is_file()
    shown = ((saved["real.png"][:, :, 0, 0] + 1) * 127.5).round().int().tolist()
    for row, count in enumerate(counts):
        filled = [COLOURS[row]] * min(count, 12)
        assert [tuple(pixel) for pixel in shown[12 * row : 12 * row + 12]] == filled + [WHITE] * (
            12 - len(filled)
        )


def test_real_images_are_those_of_training_or_else_of_the_evaluation() -> None:
    loader = dict(dataset=dict(type="CaptionedImages", sources=[]))
    drawn = dict(type="DrawnPortraits", images=3)
    config = Config(dict(train_dataloader=loader, evaluation=dict(real=drawn)))
    assert len(real_set(config)) == 3
    assert real_set(Config(dict(train_dataloader=loader))) is None
    assert real_set(Config(dict(train_dataloader=dict(dataset=dict(source=drawn))))).title.startswith("Drawn")


def test_no_real_images_are_drawn_where_there_are_none(tmp_path: Path) -> None:
    sampler = SimpleNamespace(
        class_names=NAMES, requests=dict, sheet=lambda columns, rows: (torch.zeros(columns, 3, 8, 8), [])
    )
    draw_classes(sampler, None, tmp_path)  # type: ignore[arg-type]
    assert [file.name for file in (tmp_path / "pictures").glob("*.png")] == ["classes.png"]


def test_real_images_stand_over_their_captions(tmp_path: Path) -> None:
    """As many as there are; one without a caption has none."""
    real = coloured((2, 1))
    real.captions = [["a red picture", "red"], [], ["green all over"]]
    draw_captioned(real, tmp_path, columns=2)
    plain = tmp_path / "plain.png"
    pictures.save_grid(pictures.real_images(real, [0, 1, 2]), plain, 2)
    (under, bare) = (Image.open(path).height for path in (tmp_path / "pictures" / "real.png", plain))
    assert under > bare + 20 and "their captions" in (tmp_path / "pictures" / "captions.json").read_text()


def keep_and_draw(saved: dict[str, torch.Tensor], draw):  # type: ignore[no-untyped-def]
    def save(images: torch.Tensor, path: Path, *arguments: object, **more: object) -> Path:
        saved[path.name] = images
        return Path(draw(images, path, *arguments, **more))

    return save
