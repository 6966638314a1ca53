"""Where a generator looked: bright where it did, a word a column, and an error where it does not look."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from toolbox.interfaces import Condition, Sample, TextCodes
from toolbox.visual.attention import lit, save_attention


class FakeSampler:
    """A white image with some extras, of a caption of two words."""

    def __init__(self, extras: dict[str, Any], told: str = "red bird") -> None:
        self.extras, self.truncation, self.generator = extras, 1.0, torch.nn.Identity()
        self.game = SimpleNamespace(conditioner=SimpleNamespace(in_words=lambda condition: [told]))

    def __call__(self, indices: torch.Tensor, requests: Any) -> Sample:
        codes = TextCodes(torch.zeros(1, 4), torch.zeros(1, 4, 3), torch.tensor([2]))
        return Sample(torch.ones(1, 3, 64, 64), Condition(codes=codes), extras=self.extras)


def test_an_image_is_bright_where_it_is_looked_at() -> None:
    amount = torch.zeros(4, 4)
    amount[:, 2:] = 1
    image = lit(torch.full((3, 8, 8), 0.5), amount)
    assert image[0, 4, 7] == pytest.approx(0.5) and image[0, 4, 0] == pytest.approx(0.12 * 1.5 - 1)


def test_a_column_a_word(tmp_path: Path) -> None:
    """The second word is looked at, the padding is not shown."""
    maps = torch.zeros(1, 3, 8, 8)
    maps[:, 1] = 1
    two, one_stage = FakeSampler({"attention": [maps, maps]}), FakeSampler({"attention": [maps]})
    path = save_attention(two, ["red bird"], tmp_path / "a.png")  # type: ignore[arg-type]
    picture = np.array(Image.open(path))
    dark = (abs(picture.astype(int) - 31).max(2) < 2).mean(axis=0)  # of 255, by column of pixels
    assert 60 < (dark > 0.3).sum() < 68 and picture.shape[1] < 64 * 3 + 120
    one = save_attention(one_stage, ["red bird"], tmp_path / "b.png")  # type: ignore[arg-type]
    assert Image.open(one).height < picture.shape[0] - 60


def test_tokens_that_are_no_words_are_numbered_and_masks_are_shown(tmp_path: Path) -> None:
    sampler = FakeSampler({"attention": [torch.ones(1, 3, 8, 8) / 3]}, told="a red bird of many pieces")
    assert save_attention(sampler, ["a", "b"], tmp_path / "a.png").is_file()  # type: ignore[arg-type]
    masks = [torch.ones(1, 1, size, size) for size in (4, 8)]
    path = save_attention(FakeSampler({"masks": masks}), ["a"], tmp_path / "m.png")  # type: ignore[arg-type]
    assert Image.open(path).width < 64 * 3 + 60


def test_a_generator_that_does_not_look_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="Identity has no attention that could be shown: AttnGANGenerator and"
    ):
        save_attention(FakeSampler({}), ["a"], tmp_path / "a.png")  # type: ignore[arg-type]
