"""Class folders, zips with dataset.json, IDX files: what they give and what goes wrong with them."""

from __future__ import annotations

import gzip
import json
import pickle
import shutil
import zipfile

import numpy as np
import pytest
from data_makers import class_folders, picture, write_idx
from PIL import Image

from toolbox.data.base import DataError, to_tensor, to_uint8
from toolbox.data.folder import ImageFolder
from toolbox.data.idx import FashionMNIST, read_idx
from toolbox.data.pictures import decode, encode_png, resize
from toolbox.data.zipped import ZippedImages, write_zip

RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
INDEX = {"labels": [[f"{i}.png", i % 2] for i in range(6)]}


def noise_zip(path, **more):
    write_zip(path, ((f"{i}.png", image) for i, image in enumerate(NOISE)), {**INDEX, **more})
    return path


# --- folders


def test_folder_gives_sorted_classes_and_blanks(tmp_path):
    class_folders(tmp_path, ("sweet_pepper", "apple"))
    data = ImageFolder(tmp_path, image_size=8)
    assert data.classes == ["apple", "sweet pepper"]
    assert data.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.image(5)[0, 0].tolist() == [2, 2, 2]


def test_folder_parts_are_found_under_their_usual_names(tmp_path):
    class_folders(tmp_path / "train", each=3)
    class_folders(tmp_path / "valid", each=2)
    assert len(ImageFolder(tmp_path)) == len(ImageFolder(tmp_path, train=True)) == 6
    assert len(ImageFolder(tmp_path, "test")) == len(ImageFolder(tmp_path, train=False)) == 4


def test_folder_resizes_with_antialiasing_after_cutting_the_centre_square(tmp_path):
    stripes = np.zeros((64, 128, 3), np.uint8)
    stripes[:, ::2] = 255
    stripes[:, :32] = stripes[:, 96:] = 0
    (tmp_path / "a").mkdir()
    Image.fromarray(stripes).save(tmp_path / "a" / "x.png")
    image = ImageFolder(tmp_path, image_size=16).image(0)
    assert image.shape == (16, 16, 3)
    assert abs(image[:, 2:-2].astype(int) - 127).max() <= 3  # without antialiasing: 0 or 255
    assert np.array_equal(resize(np.ascontiguousarray(stripes[:, 32:96]), 16), image)


def test_folder_fingerprint_knows_content_size_and_classes(tmp_path):
    class_folders(tmp_path / "one")
    class_folders(tmp_path / "two")
    one = ImageFolder(tmp_path / "one")
    assert one.fingerprint() == ImageFolder(tmp_path / "two").fingerprint()
    assert one.fingerprint() != ImageFolder(tmp_path / "one", image_size=16).fingerprint()
    Image.fromarray(NOISE[0]).save(tmp_path / "two" / "cat" / "0.png")
    assert one.fingerprint() != ImageFolder(tmp_path / "two").fingerprint()


def test_folder_errors(tmp_path):
    with pytest.raises(DataError, match=r"none is not a folder"):
        ImageFolder(tmp_path / "none")
    with pytest.raises(DataError, match=r"has no sub-folders: put the images of each class"):
        ImageFolder(tmp_path)
    class_folders(tmp_path)
    with pytest.raises(DataError, match=r"has 2 classes, not 10: cat, dog"):
        ImageFolder(tmp_path, classes=10)
    with pytest.raises(DataError, match=r"has no test part"):
        ImageFolder(tmp_path, split="test")
    with pytest.raises(ValueError, match=r"split='dev': it is 'train' or 'test'"):
        ImageFolder(tmp_path, split="dev")
    class_folders(tmp_path / "names", ("sweet_pepper", "sweet pepper"))
    with pytest.raises(
        DataError, match=r"'sweet pepper' and 'sweet_pepper' are both the class 'sweet pepper'"
    ):
        ImageFolder(tmp_path / "names")
    (tmp_path / "names" / "sweet pepper").rename(tmp_path / "names" / "apple")
    assert len(ImageFolder(tmp_path / "names").classes) == 2
    shutil.rmtree(tmp_path / "names")
    (tmp_path / "emu").mkdir()
    with pytest.raises(DataError, match=r"class folder 'emu' holds no images"):
        ImageFolder(tmp_path)
    torn = tmp_path / "emu" / "torn.png"
    torn.write_bytes((tmp_path / "cat" / "0.png").read_bytes()[:40])
    with pytest.raises(DataError, match=r"emu/torn.png is not a readable picture"):
        ImageFolder(tmp_path).image(6)


# --- decoding


@pytest.mark.parametrize(
    ("mode", "color", "expected"),
    [
        ("L", 77, 77),
        ("1", 1, 255),
        ("I;16", 77 * 257, 77),
        ("RGB", (77, 77, 77), 77),
        ("LA", (77, 255), 77),
        ("RGBA", (77, 77, 77, 255), 77),
    ],
)
def test_every_kind_of_png_becomes_rgb(tmp_path, mode, color, expected):
    image = decode(picture(tmp_path / "x.png", mode, color=color), "x")
    assert image.shape == (8, 8, 3)
    assert image.dtype == np.uint8
    assert (image == expected).all()


def test_palettes_are_looked_up_and_cmyk_converted(tmp_path):
    palette = Image.fromarray(NOISE[0]).quantize(256)
    palette.save(tmp_path / "x.png")
    assert np.array_equal(decode(tmp_path / "x.png", "x"), np.array(palette.convert("RGB")))
    assert (decode(picture(tmp_path / "x.jpg", "CMYK", color=(0, 0, 0, 0)), "x") == 255).all()


@pytest.mark.parametrize(("mode", "color"), [("RGBA", (0, 0, 0, 0)), ("LA", (0, 0))])
def test_transparency_needs_a_background(tmp_path, mode, color):
    path = picture(tmp_path / "x.png", mode, color=color)
    with pytest.raises(ValueError, match=r"x has transparent pixels.*background='white'"):
        decode(path, "x")
    assert (decode(path, "x", "white") == 255).all()
    assert (decode(path, "x", (1, 2, 3)) == [1, 2, 3]).all()


def test_png_writing_loses_nothing():
    few = (NOISE[0] // 64) * 64
    grey = np.repeat(NOISE[0][:, :, :1], 3, axis=2)
    large = RNG.integers(0, 256, (40, 40, 3)).astype(np.uint8)
    for image in (NOISE[0], few, grey, large):
        assert np.array_equal(decode(encode_png(image), "x"), image)
    assert np.array_equal(decode(encode_png(grey[:, :, 0]), "x"), grey)


def test_to_uint8_undoes_to_tensor():
    tensor = to_tensor(NOISE[0])
    assert tensor.shape == (3, 8, 8)
    assert tensor.min() >= -1
    assert tensor.max() <= 1
    assert np.array_equal(to_uint8(tensor).numpy(), NOISE[0])


# --- zip


def test_zip_gives_images_labels_and_our_extra_keys(tmp_path):
    path = noise_zip(
        tmp_path / "x.zip",
        classes=["even", "odd"],
        title="Noise",
        license="none",
        captions=[["a"]] * 6,
        factors={"third": {"names": ["0", "1", "2"], "values": [0, 1, 2, 0, 1, 2]}},
        split={"names": ["train", "test"], "values": [0, 0, 0, 0, 1, 1]},
    )
    data = ZippedImages(path, split="train")
    assert (len(data), data.image_size, data.title, data.classes) == (4, 8, "Noise", ["even", "odd"])
    assert data.factors["third"].tolist() == [0, 1, 2, 0]
    assert data.factor_names["third"] == ["0", "1", "2"]
    assert len(ZippedImages(path)) == 6
    assert len(ZippedImages(path, train=False)) == 2
    assert np.array_equal(ZippedImages(path, "test").image(1), NOISE[5])
    assert data[1]["labels"] == 1
    assert data[1]["images"].shape == (3, 8, 8)


def test_plain_stylegan_zip_and_folder(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        for i, image in enumerate(NOISE):
            archive.writestr(f"00000/img{i:08d}.png", encode_png(image))
        archive.writestr(
            "dataset.json", json.dumps({"labels": [[f"00000/img{i:08d}.png", i % 3] for i in range(6)]})
        )
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        archive.extractall(tmp_path / "x")
    zipped, folder = ZippedImages(tmp_path / "x.zip"), ZippedImages(tmp_path / "x")
    assert zipped.classes == ["class 0", "class 1", "class 2"]
    assert zipped.labels.tolist() == [0, 1, 2] * 2
    assert all(np.array_equal(zipped.image(i), folder.image(i)) for i in range(6))


def test_zip_without_labels_is_one_class(tmp_path):
    data = ZippedImages(noise_zip(tmp_path / "x.zip", labels=None))
    assert data.labels.tolist() == [0] * 6
    assert data.captions is None


def test_same_content_gives_the_same_zip(tmp_path):
    assert noise_zip(tmp_path / "a.zip").read_bytes() == noise_zip(tmp_path / "b.zip").read_bytes()


def test_zip_survives_pickling_and_its_cache_is_not_written_to_by_callers(tmp_path):
    data = ZippedImages(noise_zip(tmp_path / "x.zip"), cache=True)
    data.image(2)[:] = 0
    assert np.array_equal(data.image(2), NOISE[2])
    assert np.array_equal(pickle.loads(pickle.dumps(data)).image(3), NOISE[3])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"labels": [["9.png", 0]]}, "1 images that dataset.json lists are missing, the first is 9.png"),
        ({"labels": [["0.png", -1]]}, "classes from 0"),
        ({"labels": [["0.png", "cat"]]}, "classes from 0"),
        ({"labels": 7}, "classes from 0"),
        ({"classes": ["only"]}, "labels run from 0 to 1, but there are 1 class names"),
        ({"captions": [["a"]]}, "1 captions for 6 images"),
        ({"factors": {"f": {"names": ["x"], "values": [0]}}}, "'f' of dataset.json must be"),
        ({"split": {"names": ["train"], "values": [0, 0, 0, 0, 0, 1]}}, "'split' of dataset.json must be"),
        ({"labels": [["0.png", 1.7]]}, r"classes from 0 to 99,999, not \['0.png', 1.7\]"),
        ({"labels": [["0.png", True]]}, "classes from 0"),
        ({"labels": [["0.png", 10**18]]}, "classes from 0 to 99,999, not"),
        ({"labels": [["0.png", 3 * 10**8]]}, "classes from 0 to 99,999, not"),
        ({"labels": [["0.png", 0], ["0.png", 0]]}, "dataset.json labels '0.png' 2 times"),
        ({"labels": [["0.png", 0], ["1.png", 1], ["0.png", 1]]}, "labels '0.png' 2 times"),
        ({"labels": [["0.png"]]}, r"not \['0.png'\]"),
        ({"classes": "cats"}, r"classes must be a list of texts, such as \['cat', 'dog'\], not 'cats'"),
        ({"classes": ["cat", "cat"]}, "two classes are called 'cat'"),
        ({"captions": ["a cat"] * 6}, "the captions of image 0 must be a list of texts.*not 'a cat'"),
        ({"captions": "a cat!"}, "'captions' of dataset.json must be a list"),
        ({"factors": {"f": {"names": ["x", "y"], "values": [0.5] * 6}}}, "'f' of dataset.json must be"),
        ({"factors": {"f": {"names": "xy", "values": [0] * 6}}}, "'f' of dataset.json must be"),
        ({"factors": [1]}, "'factors' of dataset.json must be a dict"),
        ({"title": 7}, "'title' of dataset.json must be a str"),
    ],
)
def test_zip_with_an_index_that_does_not_fit(tmp_path, more, message):
    with pytest.raises(DataError, match=message):
        ZippedImages(noise_zip(tmp_path / "x.zip", **more))


def test_zip_errors(tmp_path):
    with pytest.raises(DataError, match=r"x.zip is missing"):
        ZippedImages(tmp_path / "x.zip")
    path = noise_zip(tmp_path / "x.zip")
    with pytest.raises(DataError, match=r"no key 'split', so it has no 'test' part"):
        ZippedImages(path, split="test")
    with pytest.raises(DataError, match=r"has 2 classes, not 10"):
        ZippedImages(path, classes=10)
    data = bytearray(path.read_bytes())
    data[data.index(b"IDAT") + 20] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"0.png is torn.*CRC"):
        ZippedImages(path).image(0)
    path.write_bytes(bytes(data[:-30]))
    with pytest.raises(DataError, match=r"torn or no zip file"):
        ZippedImages(path)


def test_an_encrypted_zip_says_so(tmp_path):
    path = noise_zip(tmp_path / "x.zip")
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag of the first member, in the table at the end
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"0.png is encrypted: pack the archive anew without a password"):
        ZippedImages(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_packed_without_bounds_is_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", method) as archive:
        archive.writestr("0.png", encode_png(NOISE[0]))
    with pytest.raises(DataError, match=r"0.png is packed by another method than deflate"):
        ZippedImages(tmp_path / "x.zip")


def test_a_zip_that_holds_a_name_twice(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("0.png", encode_png(NOISE[0]))
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("0.png", encode_png(NOISE[1]))
    with pytest.raises(DataError, match=r"holds '0.png' more than once"):
        ZippedImages(tmp_path / "x.zip")


def test_sizes_that_a_zip_claims_are_compared_with_what_is_there(tmp_path):
    path = noise_zip(tmp_path / "x.zip")
    good = path.read_bytes()
    at = good.index(b"PK\x01\x02") + 24  # the size of the first member, unpacked
    path.write_bytes(good[:at] + (3 * 10**9).to_bytes(4, "little") + good[at + 4 :])
    with pytest.raises(DataError, match=r"0.png (claims to inflate|has 3,000,000,000 bytes)"):
        ZippedImages(path)


@pytest.mark.parametrize(
    "text", ["[" * 900, '{"labels":' + "[[]," * 5000 + "[]" + "]" * 5001, "[1," * 300_000]
)
def test_an_index_out_of_bounds(tmp_path, text):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("dataset.json", text)
        archive.writestr("0.png", encode_png(NOISE[0]))
    with pytest.raises(DataError, match=r"dataset.json (is torn|of [\d,]+ bytes is too much for 2 files)"):
        ZippedImages(tmp_path / "x.zip")


def test_images_of_several_sizes_need_image_size(tmp_path):
    mixed = [("0.png", NOISE[0]), ("1.png", NOISE[0][:4, :4])]
    write_zip(tmp_path / "x.zip", mixed, {"labels": [["0.png", 0], ["1.png", 0]]})
    with pytest.raises(DataError, match=r"1.png is 4 x 4, not 8 x 8.*set image_size"):
        ZippedImages(tmp_path / "x.zip").image(1)
    assert ZippedImages(tmp_path / "x.zip", image_size=6).image(1).shape == (6, 6, 3)


# --- IDX


@pytest.mark.parametrize("packed", [True, False])
def test_idx_and_fashion_mnist(tmp_path, packed):
    images, labels = RNG.integers(0, 256, (5, 28, 28)), np.array([0, 9, 2, 3, 3])
    suffix = ".gz" if packed else ""
    for stem in ("train", "t10k"):
        write_idx(tmp_path / f"{stem}-images-idx3-ubyte{suffix}", images, packed)
        write_idx(tmp_path / f"{stem}-labels-idx1-ubyte{suffix}", labels, packed)
    data = FashionMNIST(tmp_path)
    assert data.classes[9] == "ankle boot"
    assert data.labels.tolist() == labels.tolist()
    assert np.array_equal(data.image(1)[2:30, 2:30, 1], images[1])
    assert data.image(1)[:2].max() == 0
    assert FashionMNIST(tmp_path, "test", image_size=28).image(0).shape == (28, 28, 3)
    assert FashionMNIST(tmp_path, image_size=64).image(0).shape == (64, 64, 3)


def test_idx_errors(tmp_path):
    path = tmp_path / "train-images-idx3-ubyte.gz"
    with pytest.raises(
        DataError, match=r"-images-idx3-ubyte is missing \(with or without .gz\): get Fashion-MNIST"
    ):
        FashionMNIST(tmp_path)
    write_idx(path, np.zeros((5, 28, 28)))
    good = path.read_bytes()
    path.write_bytes(good[:-12])
    with pytest.raises(DataError, match=r"is torn"):
        read_idx(path)
    write_idx(path, np.zeros((5, 28, 28)), packed=False)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"promises shape \(5, 28, 28\), 3936 bytes in all, and it has 3935"):
        read_idx(path)
    path.write_bytes(b"no idx")
    with pytest.raises(DataError, match=r"is not an IDX file"):
        read_idx(path)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("shape", [(2**32 - 1,), (3, 2**30), (2**16,) * 4, (2**31, 2**31, 4), (1,) * 200])
def test_sizes_that_an_idx_file_claims_are_compared_with_what_is_there(tmp_path, shape, packed):
    data = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes() + b"x"
    (tmp_path / "x").write_bytes(gzip.compress(data) if packed else data)
    with pytest.raises(DataError, match=r"x is torn or too large: its header promises shape"):
        read_idx(tmp_path / "x")


def test_idx_files_of_another_set_are_named(tmp_path):
    write_idx(tmp_path / "train-images-idx3-ubyte", np.zeros((5, 784)), packed=False)
    with pytest.raises(DataError, match=r"holds \(5, 784\), not images of 28 x 28 pixels"):
        FashionMNIST(tmp_path)
