"""A folder of pictures and masks: pairs by name, one square, one size; what is missing or no mask
is named.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toolbox.data.base import DataError
from toolbox.data.masks import MaskFolder, decode_mask
from toolbox.data.stream import Stream
from toolbox.registry import build

PARTS = ["ground", "left", "right"]


def write(folder: Path, name: str = "a", size: tuple[int, int] = (8, 12), mode: str = "L") -> np.ndarray:
    """A picture whose red tells its part; the mask (H, W): left and right halves of the middle rows."""
    mask = np.zeros(size, dtype=np.uint8)
    mask[2:-2, : size[1] // 2], mask[2:-2, size[1] // 2 :] = 1, 2
    picture = np.zeros((*size, 3), dtype=np.uint8)
    picture[..., 0] = mask * 100
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(folder / "images" / f"{name}.png")
    saved = Image.fromarray(mask)
    if mode == "P":
        saved.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0])
    (saved.convert("RGB") if mode == "RGB" else saved).save(folder / "masks" / f"{name}.png")
    return mask


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
def test_mask_and_picture_are_cut_alike(tmp_path: Path, mode: str) -> None:
    mask = write(tmp_path, mode=mode)
    data = build(dict(type="MaskFolder", root=str(tmp_path), part_names=PARTS, image_size=8), "dataset")
    np.testing.assert_array_equal(data.mask(0), mask[:, 2:-2])
    np.testing.assert_array_equal(data.image(0)[..., 0], mask[:, 2:-2] * 100)
    item = Stream(data, masks=True)[0]
    assert item["mask"].shape == (8, 8) and int(item["mask"].max()) == 2


def test_resizing_makes_no_new_parts(tmp_path: Path) -> None:
    write(tmp_path, size=(40, 40))
    small = MaskFolder(tmp_path, PARTS, image_size=16).mask(0)
    assert small.shape == (16, 16) and set(np.unique(small)) == {0, 1, 2} and (small[:, 0] != 2).all()


def test_parts_of_the_set(tmp_path: Path) -> None:
    for split, name in (("train", "a"), ("train", "b"), ("test", "c")):
        write(tmp_path / split, name)
    train, test = MaskFolder(tmp_path, PARTS, image_size=8), MaskFolder(tmp_path, PARTS, "test", image_size=8)
    assert (len(train), len(test)) == (2, 1) and train.fingerprint() != test.fingerprint()


def test_what_is_missing_or_no_mask(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no folder 'images': pictures belong into images/"):
        MaskFolder(tmp_path, PARTS)
    write(tmp_path)
    with pytest.raises(DataError, match=r"test has no folder 'images'"):
        MaskFolder(tmp_path, PARTS, "test")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (8, 12, 3)).astype(np.uint8)).save(
        tmp_path / "masks" / "a.png"
    )
    with pytest.raises(DataError, match=r"a.png is no index mask: it has shape \(8, 12, 3\) of uint8"):
        MaskFolder(tmp_path, PARTS).mask(0)
    (tmp_path / "masks" / "a.png").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"a.png is not a readable mask"):
        MaskFolder(tmp_path, PARTS).mask(0)
    (tmp_path / "masks" / "a.png").unlink()
    with pytest.raises(DataError, match=r"a.png has no mask .*a.png"):
        MaskFolder(tmp_path, PARTS)
    write(tmp_path)
    with pytest.raises(DataError, match="the mask of image 0 has part 2, but there are 2 part names"):
        Stream(MaskFolder(tmp_path, PARTS[:2], image_size=8), masks=True)


def test_masks_of_another_size_and_of_another_shape(tmp_path: Path) -> None:
    write(tmp_path, size=(8, 12))
    data = MaskFolder(tmp_path, PARTS, image_size=8)
    mask = Image.open(tmp_path / "masks" / "a.png")
    mask.resize((6, 4), Image.Resampling.NEAREST).save(tmp_path / "masks" / "a.png")
    assert data.mask(0).shape == (8, 8)
    mask.resize((8, 12)).save(tmp_path / "masks" / "a.png")
    with pytest.raises(
        DataError, match=r"a.png is 8x12 pixels, its picture 12x8: their sides must have the same ratio"
    ):
        data.mask(0)
    (tmp_path / "images" / "a.png").write_bytes(b"torn")
    with pytest.raises(DataError, match=r"images.a.png is not a readable picture"):
        data.mask(0)


def test_a_picture_turned_by_its_camera(tmp_path: Path) -> None:
    """Its mask is drawn on what people see."""
    write(tmp_path, size=(8, 12))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.open(tmp_path / "images" / "a.png")
    picture.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "images" / "a.png", exif=exif)
    assert MaskFolder(tmp_path, PARTS, image_size=8).mask(0).shape == (8, 8)


def test_a_mask_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^there is no mask .*nosuch.png$"):
        decode_mask(tmp_path / "nosuch.png", str(tmp_path / "nosuch.png"))
