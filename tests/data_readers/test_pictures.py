"""Picture files of strangers: which are opened, by whom, and what their values mean."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
from data_makers import class_folders
from PIL import Image
from torch.utils.data import DataLoader

from toolbox.data import pictures
from toolbox.data.base import DataError
from toolbox.data.folder import ImageFolder
from toolbox.data.masks import MaskFolder
from toolbox.data.pictures import decode, open_picture

ROOT = Path(__file__).parents[2]
POSTSCRIPT = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n0 0 8 8 rectfill\nshowpage\n%%EOF\n"
)


@pytest.fixture
def ghostscript(tmp_path, monkeypatch) -> Path:
    """A 'gs' on the path that writes the file named here when it is started."""
    started = tmp_path / "started"
    program = tmp_path / "bin" / "gs"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho 10.0\ntouch {started}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)
    return started


@pytest.mark.parametrize("context", [None, "fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_postscript_named_png_starts_no_program(tmp_path, ghostscript, context):
    class_folders(tmp_path / "data")
    (tmp_path / "data" / "cat" / "0.png").write_bytes(POSTSCRIPT)
    data = ImageFolder(tmp_path / "data")
    workers = 1 if context else 0
    loader = DataLoader(data, batch_size=1, num_workers=workers, multiprocessing_context=context)
    with pytest.raises(DataError, match=r"cat/0.png is not a readable picture .*PNG, JPEG"):
        next(iter(loader))
    assert not ghostscript.exists()


def test_postscript_is_no_mask_either(tmp_path, ghostscript):
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
        Image.new("L", (8, 8)).save(tmp_path / folder / "a.png")
    (tmp_path / "masks" / "a.png").write_bytes(POSTSCRIPT)
    with pytest.raises(DataError, match=r"a.png is not a readable mask"):
        MaskFolder(tmp_path, ["all"], image_size=8).mask(0)
    (tmp_path / "images" / "a.png").write_bytes(POSTSCRIPT)
    with pytest.raises(DataError, match=r"a.png is not a readable"):
        MaskFolder(tmp_path, ["all"], image_size=8).image(0)
    assert not ghostscript.exists()


def test_nobody_else_opens_pictures():
    opening = re.compile(
        r"\b(Image|Pillow|PIL)\.open\(|from PIL\.Image import .*\bopen\b|\bimread\(|\bread_image\("
    )
    files = [file for folder in ("toolbox", "plugins", "tools") for file in (ROOT / folder).rglob("*.py")]
    opened_in = [file for file in files if opening.search(file.read_text(encoding="utf-8"))]
    assert opened_in == [Path(pictures.__file__)]


def test_too_many_pixels_are_an_error_before_they_are_decoded(monkeypatch):
    monkeypatch.setattr(pictures, "MOST_PIXELS", 63)
    with pytest.raises(
        ValueError, match=r"x is not a readable picture \(it has 8 x 8 pixels, more than 63\)"
    ):
        decode(saved(Image.new("L", (8, 8))), "x")
    monkeypatch.setattr(pictures, "MOST_PIXELS", 64)
    assert open_picture(saved(Image.new("L", (8, 8)))).size == (8, 8)


def saved(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


DEEP = np.linspace(0, 65535, 64).reshape(8, 8)


@pytest.mark.parametrize(
    ("picture", "why"),
    [
        (Image.fromarray(DEEP.astype(np.float32) / 65535), "holds floats"),
        (Image.fromarray(DEEP.astype(np.int32)), "holds 32-bit or signed integers"),
        (Image.new("LAB", (8, 8), (128, 20, 20)), "is in LAB colours"),
    ],
)
def test_a_tiff_whose_colours_are_unclear_is_refused(picture, why):
    with pytest.raises(ValueError, match=f"x {why}.*: save it with 8 bits a channel"):
        decode(saved(picture, "TIFF"), "x")


@pytest.mark.parametrize(
    ("tag", "value", "why"), [(262, 0, "of 16 bits where 0 is white"), (258, 12, "of 12 bits")]
)
def test_a_deep_tiff_is_refused_unless_all_values_mean_what_they_usually_do(tag, value, why):
    deep = Image.fromarray(DEEP.astype(np.uint16))
    good = saved(deep, "TIFF")
    assert np.array_equal(decode(good, "x")[..., 0], (DEEP.astype(np.uint16) >> 8))
    at = good.index(tag.to_bytes(2, "little") + b"\x03\x00")
    other = good[: at + 8] + value.to_bytes(4, "little") + good[at + 12 :]
    with pytest.raises(ValueError, match=f"x is a grey TIFF {why}"):
        decode(other, "x")


def test_a_deep_pgm_keeps_its_upper_bits():
    assert np.array_equal(
        decode(saved(Image.fromarray(DEEP.astype(np.uint16)), "PPM"), "x")[..., 0],
        DEEP.astype(np.uint16) >> 8,
    )


def test_a_jpeg_of_endless_scans_is_refused():
    scans = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 300
    good = saved(Image.new("L", (8, 8)), "JPEG")
    with pytest.raises(ValueError, match="a JPEG of 301 scans"):
        decode(good[:-2] + scans + good[-2:], "x")


def test_a_picture_that_went_says_so(tmp_path):
    class_folders(tmp_path)
    data = ImageFolder(tmp_path)
    (tmp_path / "cat" / "1.png").unlink()
    with pytest.raises(DataError, match=r"cat/1.png has gone since the data set was opened"):
        data.image(1)
