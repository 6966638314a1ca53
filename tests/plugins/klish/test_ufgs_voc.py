"""PASCAL VOC's folder: squares about a category, borders, and what is missing named with its origin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toolbox.data.base import DataError, checked_mask
from toolbox_klish.ufgs.voc import CATEGORIES, PascalVOC

CAR = CATEGORIES.index("car")


def write(root: Path, names: str = "ab") -> Path:
    """Images of 60 x 40 pixels; 'a' shows a car of 10 x 8 at the right, with a border; 'b' shows a cat."""
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    (root / "ImageSets/Segmentation/val.txt").write_text("\n".join(names) + "\n")
    for name in names:
        mask = np.zeros((40, 60), dtype=np.uint8)
        mask[19:29, 49:59] = 255 if name == "a" else 0
        left = 50 if name == "a" else 20
        mask[20:28, left : left + 10] = CAR if name == "a" else 8
        image = np.stack([mask == CAR, mask == 8, mask == 255], axis=-1).astype(np.uint8) * 255
        Image.fromarray(image).save(root / "JPEGImages" / f"{name}.jpg", quality=100, subsampling=0)
        coloured = Image.fromarray(mask, mode="P")
        coloured.putpalette([i % 256 for i in range(768)])
        coloured.save(root / "SegmentationClass" / f"{name}.png")
    return root


def test_cars_are_cut_out(tmp_path: Path) -> None:
    data = PascalVOC(write(tmp_path), "car", image_size=13, least=0.02)
    assert len(data) == 1 and list(data.part_names) == ["background", "car"]
    mask = checked_mask(data, 0, ignore=255)
    assert mask.shape == (13, 13) and set(np.unique(mask)) == {0, 1, 255}
    assert (mask == 1).sum() == 80  # a square of 13 about 10 x 8 pixels
    red = data.image(0)[..., 0] > 128
    assert (red == (mask == 1)).mean() > 0.95  # but for JPEG
    assert data[0]["images"].shape == (3, 13, 13)


def test_all_categories(tmp_path: Path) -> None:
    data = PascalVOC(write(tmp_path), image_size=40)
    assert len(data) == 2 and len(data.part_names) == 21
    assert data.mask(1).max() == 8 and data.mask(0).shape == (40, 40)


def test_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"val\.txt is missing: PASCAL VOC 2012 comes from http://host"):
        PascalVOC(tmp_path / "none")
    root = write(tmp_path)
    with pytest.raises(DataError, match=r"train\.txt is missing"):
        PascalVOC(root, split="train")
    with pytest.raises(DataError, match="category='cars' is none of PASCAL VOC's - did you mean 'car'"):
        PascalVOC(root, "cars")
    with pytest.raises(DataError, match="no image of 'test' shows enough of 'dog'"):
        PascalVOC(root, "dog")
    (root / "SegmentationClass" / "b.png").unlink()
    with pytest.raises(DataError, match=r"b\.png is missing"):
        PascalVOC(root)
