"""What components call themselves, built by name or made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from toolbox.interfaces.described import Described
from toolbox.registry import build

CLIP = dict(type="EmbeddedClipFeatures")


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (dict(type="SoftKMeans"), "SoftKMeans()"),
        (dict(type="SoftKMeans", clusters=3, mu=0.5), "SoftKMeans(clusters=3, mu=0.5)"),
        (dict(type="KLiSH", clusters=8), "KLiSH(clusters=8)"),
        (
            dict(type="KID", extractor=CLIP, subset_size=50),
            "KID(extractor=EmbeddedClipFeatures(...), subset_size=50)",
        ),
        (dict(type="R1", gamma=0.5), "R1(gamma=0.5)"),
        (
            dict(type="ClassConditions", class_names=["cat", "dog"]),
            "ClassConditions(class_names=['cat', 'dog'])",
        ),
        (dict(type="SampleGrid", interval=7), "SampleGrid(interval=7)"),
        (dict(type="HorizontalFlip"), "HorizontalFlip()"),
        (dict(type="EmbeddedFashion", split="test", image_size=8), "EmbeddedFashion(image_size=8)"),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_type_and_what_is_not_the_default(config: dict[str, Any], text: str) -> None:
    assert repr(build(config)) == text


def test_a_network_keeps_torch_s_text() -> None:
    text = repr(
        build(dict(type="PGGANGenerator", image_size=8, latent_dim=8, channel_base=64, channel_max=8))
    )
    assert "ScaledConv2d" in text and "\n" in text


def test_long_values_and_arrays_are_short() -> None:
    class Made(Described):
        def __init__(self, table: Any = None, words: Any = "", kept: int = 1, **more: Any) -> None:
            self.table, self.words = table, words

    assert repr(Made(np.zeros((3, 4)), "x" * 500)) == f"Made(table=ndarray(3, 4), words='{'x' * 56}...)"
    assert repr(Made(torch.zeros(2), torch.nn.Linear(1, 1), 5)) == "Made(table=Tensor(2,), words=Linear(...))"
