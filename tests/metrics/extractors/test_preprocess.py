"""Resizing under each protocol: reference arrays of Pillow, TensorFlow 1's rule and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.metrics.toys import golden
from toolbox.metrics.extractors.preprocess import (
    PROTOCOLS,
    pil_bicubic,
    preprocess,
    tf1_bilinear,
    torch_antialiased,
    torch_bilinear,
)

ARRAYS = golden("preprocess")
IMAGE = torch.from_numpy(ARRAYS["image"]).permute(2, 0, 1)[None].float()
RESIZES = {
    "tf1_bilinear": tf1_bilinear,
    "pil_bicubic_float": pil_bicubic,
    "torch_bilinear": torch_bilinear,
    "torch_bilinear_antialias": torch_antialiased,
}


@pytest.mark.parametrize("name", RESIZES)
def test_smaller(name: str) -> None:
    found = RESIZES[name](IMAGE, (31, 37))[0, :, ::3]
    np.testing.assert_allclose(found, ARRAYS[f"down_{name}"], atol=1e-3)


@pytest.mark.parametrize("name", RESIZES)
def test_larger(name: str) -> None:
    found = RESIZES[name](IMAGE, (133, 121))[0, 0, ::8]
    np.testing.assert_allclose(found, ARRAYS[f"up_{name}"], atol=1e-3)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_range_of_the_input(protocol: str) -> None:
    levels = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1).expand(2, 3, 20, 30)
    low, high = preprocess(levels, protocol, size=40)
    assert low.shape == (3, 40, 40)
    assert low.unique().tolist() == pytest.approx([-1])
    assert high.unique().tolist() == pytest.approx([1.0 if protocol == "pytorch_fid" else 127 / 128])


def test_unknown_protocol() -> None:
    with pytest.raises(ValueError, match=r"protocol='cleanfid': allowed are .*did you mean 'clean'"):
        preprocess(IMAGE.byte(), "cleanfid")
