"""A folder is looked at before it is used: all broken files in one list, sizes, small classes."""

from __future__ import annotations

import shutil
import zipfile

import numpy as np
import pytest
from data_makers import array_set, class_folders, picture
from PIL import Image

from toolbox.data.base import DataError
from toolbox.data.embedded import EmbeddedFashion
from toolbox.data.folder import ImageFolder
from toolbox.data.inspection import check_images, inspect_images
from toolbox.data.masks import MaskFolder
from toolbox.data.relabelled import RelabelledSet
from toolbox.data.zipped import ZippedImages


def damage(folder) -> None:
    (folder / "cat" / "1.png").write_bytes((folder / "cat" / "1.png").read_bytes()[:50])
    (folder / "dog" / "0.png").write_bytes(b"<html>not found</html>")
    picture(folder / "dog" / "2.png", "RGBA", color=(0, 0, 0, 0))


def test_all_broken_files_are_in_one_list(tmp_path):
    class_folders(tmp_path)
    damage(tmp_path)
    found = inspect_images(ImageFolder(tmp_path))
    assert list(found.broken) == [1, 3, 5]
    told: list[str] = []
    with pytest.raises(DataError, match=r"3 images cannot be used, the first is: .*cat/1.png is not a read"):
        check_images(ImageFolder(tmp_path), tell=told.append)
    assert told[1] == "3 of them cannot be used:"
    assert [name in line for name, line in zip(("cat/1", "dog/0", "dog/2"), told[2:], strict=True)] == [
        True
    ] * 3


def test_a_zip_is_looked_at_too_and_views_of_sets(tmp_path):
    class_folders(tmp_path / "data", size=(40, 40))
    (tmp_path / "data" / "dog" / "0.png").write_bytes(b"x")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for file in sorted((tmp_path / "data").rglob("*.png")):
            archive.write(file, file.name + file.parent.name + ".png")
    assert len(inspect_images(ZippedImages(tmp_path / "x.zip", image_size=8)).broken) == 1
    view = RelabelledSet(ImageFolder(tmp_path / "data"), {"pets": ["dog"]})
    assert list(inspect_images(view).broken) == [0]


def test_many_broken_files_are_counted(tmp_path):
    class_folders(tmp_path, each=20)
    for file in tmp_path.rglob("*.png"):
        file.write_bytes(b"x")
    lines = inspect_images(ImageFolder(tmp_path)).lines
    assert len(lines) == 2 + 20 + 1
    assert lines[-1] == "  ... and 20 more"


def test_sizes_and_what_will_be_enlarged(tmp_path):
    class_folders(tmp_path, each=2, size=(64, 48))
    picture(tmp_path / "cat" / "small.png", size=(10, 40))
    picture(tmp_path / "dog" / "large.png", size=(200, 100))
    found = check_images(ImageFolder(tmp_path, image_size=48), tell=print)
    assert (found.smallest, found.largest, found.enlarged) == ((40, 10), (100, 200), 1)
    assert found.lines == [
        f"checked 6 images of {tmp_path.name}: 10 x 40 to 200 x 100 pixels, 1 will be enlarged"
    ]


def test_classes_too_small_for_their_clusters(tmp_path):
    class_folders(tmp_path, each=3)
    shutil.rmtree(tmp_path / "dog")
    picture(tmp_path / "dog" / "0.png")
    check_images(ImageFolder(tmp_path), least=1)
    with pytest.raises(DataError, match=r"classes with fewer than 3 images: dog \(1\); add images"):
        check_images(ImageFolder(tmp_path), least=3)
    with pytest.raises(DataError, match=r"fewer than 7 images: kind 0 \(6\)"):
        check_images(array_set((6, 8)), least=7)


def test_masks_are_looked_at(tmp_path):
    for folder, value in (("images", 200), ("masks", 1)):
        (tmp_path / folder).mkdir()
        for i in range(3):
            Image.new("L", (8, 8), value).save(tmp_path / folder / f"{i}.png")
    Image.new("L", (8, 8), 7).save(tmp_path / "masks" / "1.png")
    found = inspect_images(MaskFolder(tmp_path, ["skin", "hair"], image_size=8))
    assert list(found.broken) == [1]
    assert "has part 7, but there are 2 part names" in found.broken[1]


def test_of_a_large_set_only_headers_are_read_but_for_some(tmp_path, monkeypatch):
    class_folders(tmp_path, each=50)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8))
    noise.save(tmp_path / "cat" / "0.png")
    torn = (tmp_path / "cat" / "0.png").read_bytes()[:-500]  # a whole header, half the pixels
    for file in tmp_path.rglob("*.png"):
        file.write_bytes(torn)
    (tmp_path / "dog" / "1.png").write_bytes(b"x")
    found = inspect_images(ImageFolder(tmp_path), most_decoded=10)
    assert (found.decoded, len(found.broken)) == (10, 11)
    assert "10 decoded whole" in found.lines[0]


def test_what_is_shipped_is_not_looked_at_again(monkeypatch):
    monkeypatch.setattr("toolbox.data.files.decode", lambda *arguments: pytest.fail("decoded"))
    told: list[str] = []
    found = check_images(EmbeddedFashion("test"), tell=told.append)
    assert (found.broken, found.smallest, told) == ({}, None, [])
