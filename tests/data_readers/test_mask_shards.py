"""Pictures and masks in numbered zips: who is in which part, what is read, what is refused."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from toolbox.data.base import DataError
from toolbox.data.given import look_at
from toolbox.data.inspection import inspect_images
from toolbox.data.layouts import inspect_layout
from toolbox.data.mask_shards import MaskShards, parts_of, picture_name, shard_file
from toolbox.data.stream import Stream
from toolbox.data.zipped import ZippedImages
from toolbox.registry import build

PARTS = ["ground", "left", "right"]
N, SHARD = 24, 10


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def mask_of(i: int, size: tuple[int, int] = (8, 8)) -> np.ndarray:
    """Two halves, and image i's own number of rows of ground above."""
    mask = np.ones(size, dtype=np.uint8)
    mask[:, size[1] // 2 :] = 2
    mask[: i % 5] = 0
    return mask


def picture_of(i: int, size: tuple[int, int] = (8, 8)) -> np.ndarray:
    """Red says the part, green the image."""
    picture = np.zeros((*size, 3), dtype=np.uint8)
    picture[..., 0], picture[..., 1] = mask_of(i, size) * 100, i
    return picture


def pack(file: Path, members: dict[str, bytes]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def write(root: Path, size: tuple[int, int] = (8, 8), n: int = N, **record: Any) -> Path:
    """A folder of pairs, by zipfile and Pillow alone."""
    for shard in range(-(-n // SHARD)):
        numbers = range(shard * SHARD, min((shard + 1) * SHARD, n))
        pictures = {picture_name(i): png(picture_of(i, size)) for i in numbers}
        labels = [[name, i % 2] for i, name in zip(numbers, pictures, strict=True)]
        index = {"dataset.json": json.dumps({"labels": labels}).encode()}
        pack(shard_file(root, "images", shard), pictures | index)
        pack(shard_file(root, "masks", shard), {picture_name(i): png(mask_of(i, size)) for i in numbers})
    (root / "pairs.json").write_text(json.dumps(dict(images=n, shard=SHARD, part_names=PARTS) | record))
    return root


def replace_mask(root: Path, i: int, data: bytes | None) -> None:
    """Another mask for image i; None: none."""
    file = shard_file(root, "masks", i // SHARD)
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members.pop(picture_name(i))
    pack(file, members if data is None else {**members, picture_name(i): data})


def test_pairs_by_number(tmp_path: Path) -> None:
    data = build(dict(type="MaskShards", root=str(write(tmp_path)), split=None), "dataset")
    assert (len(data), data.image_size, data.part_names) == (N, 8, PARTS)
    for i in (0, 9, 10, 23):
        np.testing.assert_array_equal(data.image(i), picture_of(i))
        np.testing.assert_array_equal(data.mask(i), mask_of(i))
    item = Stream(data, masks=True)[13]
    assert item["index"] == 13 and item["mask"].tolist() == mask_of(13).tolist()
    assert data.record["shard"] == SHARD and data.labels.tolist() == [0] * N


def test_the_images_of_a_shard_are_a_stylegan_zip(tmp_path: Path) -> None:
    zipped = ZippedImages(shard_file(write(tmp_path), "images", 1))
    assert len(zipped) == 10 and zipped.image(3)[0, 0, 1] == 13


def test_parts(tmp_path: Path) -> None:
    """Eight, one and one of each ten; a set that grows keeps everybody in place."""
    root = write(tmp_path)
    found = {part: MaskShards(root, part).numbers.tolist() for part in ("train", "val", "test")}
    assert sorted(i for numbers in found.values() for i in numbers) == list(range(N))
    for part, share in (("train", 8), ("val", 1), ("test", 1)):
        assert [sum(i // 10 == ten for i in found[part]) for ten in (0, 1)] == [share, share]
    assert MaskShards(root, train=False).numbers.tolist() == found["test"]
    np.testing.assert_array_equal(MaskShards(root, "val").image(1), picture_of(found["val"][1]))
    assert parts_of(1000, 3)[:25].tolist() == parts_of(25, 3).tolist() != parts_of(25, 4).tolist()
    few = MaskShards(root, "train", images=12)
    assert few.numbers.tolist() == [i for i in found["train"] if i < 12]
    assert few.fingerprint() != MaskShards(root, "train").fingerprint()


def test_a_path_that_somebody_names(tmp_path: Path) -> None:
    found = look_at(write(tmp_path / "many"), masks=True)
    assert found.has_masks and found.train == dict(type="MaskShards", root=str(tmp_path / "many"))
    assert len(build(found.test, "dataset")) == 2
    assert look_at(write(tmp_path / "few", n=2)).test is None


def test_classes_of_a_conditional_generator(tmp_path: Path) -> None:
    data = MaskShards(write(tmp_path, classes=["cat", "dog"]), None)
    assert data.classes == ["cat", "dog"] and data.labels.tolist() == [i % 2 for i in range(N)]


def test_other_sizes_are_cut_and_resized_alike(tmp_path: Path) -> None:
    data = MaskShards(write(tmp_path, size=(6, 12)), None)
    assert data.image_size == 6
    np.testing.assert_array_equal(data.image(2)[..., 0], mask_of(2, (6, 12))[:, 3:9] * 100)
    np.testing.assert_array_equal(data.mask(2), mask_of(2, (6, 12))[:, 3:9])
    small = MaskShards(tmp_path, None, image_size=3)
    assert small.mask(2).shape == (3, 3) == small.image(2).shape[:2] and set(np.unique(small.mask(2))) <= {
        0,
        1,
        2,
    }


def test_slips(tmp_path: Path) -> None:
    root = write(tmp_path / "pairs")
    with pytest.raises(ValueError, match="split='tset' is not one of train, val, test - did you mean 'test'"):
        MaskShards(root, "tset")
    with pytest.raises(DataError, match="holds 24 images: images=25 must be 1 to 24"):
        MaskShards(root, images=25)
    with pytest.raises(DataError, match="no image of 1 is of the part 'val': make ten or more"):
        MaskShards(root, "val", images=1)
    with pytest.raises(DataError, match=r"holds no pairs: pairs.json is missing.*MaskFolder"):
        MaskShards(tmp_path)
    (tmp_path / "unfinished.json").write_text("{}")
    with pytest.raises(
        DataError, match="is not finished: go on with the command that began it, and --resume"
    ):
        MaskShards(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "is torn"), ("[]", "must hold 'images', a int"), ('{"images": 3, "shard": 2}', "'part_names'")],
)
def test_a_record_that_is_none(tmp_path: Path, text: str, words: str) -> None:
    write(tmp_path)
    (tmp_path / "pairs.json").write_text(text)
    with pytest.raises(DataError, match=words):
        MaskShards(tmp_path)


def test_an_image_without_its_mask(tmp_path: Path) -> None:
    replace_mask(write(tmp_path), 12, None)
    with pytest.raises(
        DataError, match=r"masks.shard-00001.zip: 00000/img00000012.png has no mask .*--resume"
    ):
        MaskShards(tmp_path, None)


def test_all_faults_in_one_list(tmp_path: Path) -> None:
    root = write(tmp_path)
    assert inspect_layout(root, "pairs").lines == [
        "24 images, 3 parts: ground, left, right",
        f"{root} can be used",
    ]
    replace_mask(root, 4, png(np.full((8, 8), 7, np.uint8)))
    replace_mask(root, 5, b"nothing")
    faults = inspect_layout(root, "pairs").faults
    assert len(faults) == 2 and "has part 7" in faults[0] and "is not a readable mask" in faults[1]
    replace_mask(root, 13, None)
    shard_file(root, "images", 2).unlink()
    faults = inspect_layout(root, "pairs").faults
    assert [fault.partition(": ")[0].rpartition("/")[2] for fault in faults] == [
        "shard-00002.zip is missing",
        "4 images are missing",
        "1 masks are missing",
    ]


@pytest.mark.parametrize(
    ("labels", "words"),
    [(None, "no class of its images in dataset.json"), ([], "img00000000.png has no class in dataset.json")],
)
def test_classes_that_are_not_there(tmp_path: Path, labels: Any, words: str) -> None:
    root = write(tmp_path, n=3, classes=["cat", "dog"])
    pictures = {picture_name(i): png(picture_of(i)) for i in range(3)}
    index = json.dumps({"labels": labels}).encode()
    pack(shard_file(root, "images", 0), {**pictures, "dataset.json": index})
    with pytest.raises(DataError, match=words):
        MaskShards(root, None)


def test_no_file_stays_open(tmp_path: Path) -> None:
    """Three sets of two hundred archives each would be too many."""
    data = MaskShards(write(tmp_path), None)
    assert data.image(12).any() and data.mask(12).any()
    opened = {os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")}
    assert not [name for name in opened if name.startswith(os.path.realpath(tmp_path))]


def test_a_shard_that_is_missing_or_torn(tmp_path: Path) -> None:
    file = shard_file(write(tmp_path), "masks", 2)
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(DataError, match=r"shard-00002.zip is torn or no zip file"):
        MaskShards(tmp_path, None)
    file.unlink()
    with pytest.raises(
        DataError, match=r"shard-00002.zip is missing: write it anew by the command.*--resume"
    ):
        MaskShards(tmp_path, None)
    assert len(MaskShards(tmp_path, None, images=20)) == 20


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (png(np.full((8, 8), 7, np.uint8)), r"mask of image 4 has part 7, but there are 3 part names"),
        (
            png(np.zeros((4, 4), np.uint8)),
            r"img00000004.png is 4x4 pixels, not 8x8: all images and masks",
        ),
        (png(picture_of(4)), "is no index mask: it has shape"),
        (b"nothing", "is not a readable mask"),
    ],
    ids=["part", "size", "colours", "torn"],
)
def test_masks_that_do_not_fit(tmp_path: Path, data: bytes, words: str) -> None:
    """When they are read, and in the list of an inspection."""
    replace_mask(write(tmp_path), 4, data)
    with pytest.raises(DataError, match=words):
        Stream(MaskShards(tmp_path, None), masks=True)[4]
    found = inspect_images(MaskShards(tmp_path, None))
    assert list(found.broken) == [4] and len(found.lines) == 3
