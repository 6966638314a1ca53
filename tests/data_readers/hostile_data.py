"""Hostile and damaged data files, a few hundred: what strangers have, or mean ill with.

Each is a name and a function that writes into an empty folder and returns what reads it. What is returned by
that is compared with ``right`` where a file may be read; None: it must be refused.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from data_makers import TEN, array_set, mini_cifar
from PIL import Image

from toolbox.data.base import ImageSet
from toolbox.data.caption_files import read_captions
from toolbox.data.cifar import CIFAR10
from toolbox.data.folder import ImageFolder
from toolbox.data.idx import FashionMNIST, read_idx
from toolbox.data.masks import MaskFolder
from toolbox.data.pictures import encode_png
from toolbox.data.split import draw_split, load_split
from toolbox.data.zipped import ZippedImages, write_zip

Read = Callable[[], Any]
Data = bytes | Callable[[], bytes]  # what takes time or memory is made when it is its turn
NOISE = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3)).astype(np.uint8)
DEEP = np.linspace(0, 65535, 256).reshape(16, 16)


@dataclass
class Case:
    """One hostile file."""

    name: str
    make: Callable[[Path], Read]
    right: Callable[[Any], bool] | None = None


def all_cases() -> list[Case]:
    """Every case, names unique."""
    makers = (
        foreign,
        cut,
        bombs,
        modes,
        odd_files,
        indexes,
        archives,
        idx_files,
        batches,
        captions,
        tars,
        masks,
        splits,
    )
    cases = [case for maker in makers for case in maker()]
    assert len({case.name for case in cases}) == len(cases)
    return cases


# -- pictures ------------------------------------------------------------------------------------------------


def saved(picture: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def made(data: Data) -> bytes:
    return data() if callable(data) else data


def in_a_folder(data: Data, suffix: str, folder: Path, **options: Any) -> Read:
    """The first image of a folder that holds these bytes as a picture."""
    (folder / "cat").mkdir()
    (folder / "cat" / f"a{suffix}").write_bytes(made(data))
    return lambda: ImageFolder(folder, image_size=16, **options).image(0)


def same_as(image: np.ndarray) -> Callable[[Any], bool]:
    return lambda found: bool(np.array_equal(found, image))


def png(width: int, height: int, *chunks: tuple[bytes, bytes], depth: int = 8, color: int = 2) -> bytes:
    """A PNG by hand: header, chunks, end."""
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + body


PAYLOADS = {
    "empty": b"",
    "one-byte": b"\x89",
    "html": b"<!DOCTYPE html><html><body>404</body></html>",
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n%%EndComments\nshowpage\n%%EOF\n",
    "dos-eps": b"\xc5\xd0\xd3\xc6" + struct.pack("<II", 32, 60) + bytes(24) + b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "pdf": b"%PDF-1.4\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "gif": saved(Image.new("P", (16, 16)), "GIF"),
    "ico": saved(Image.new("RGB", (16, 16)), "ICO"),
    "icns": b"icns" + struct.pack(">I", 16) + b"ic07" + struct.pack(">I", 8),
    "tga": saved(Image.new("RGB", (16, 16)), "TGA"),
    "pcx": saved(Image.new("RGB", (16, 16)), "PCX"),
    "sgi": saved(Image.new("RGB", (16, 16)), "SGI"),
    "im": saved(Image.new("RGB", (16, 16)), "IM"),
    "xbm": saved(Image.new("1", (16, 16)), "XBM"),
    "dds": saved(Image.new("RGB", (16, 16)), "DDS"),
    "jp2-head": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40),
    "avif-head": b"\0\0\0\x1cftypavif" + bytes(40),
    "psd": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30000, 30000, 8, 3) + bytes(40),
    "fits": b"SIMPLE  =                    T" + b" " * 2850,
    "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(64),
    "grib": b"GRIB\0\0\0\1" + bytes(64),
    "wmf": b"\xd7\xcd\xc6\x9a\0\0" + bytes(80),
    "mpeg": b"\0\0\1\xb3\x10\0\x10" + bytes(64),
    "elf": b"\x7fELF" + bytes(64),
    "script": b"#!/bin/sh\ntouch started\n",
    "pickle": pickle.dumps({"a": 1}),
    "zip": b"PK\x03\x04" + bytes(64),
    "gzip": gzip.compress(b"x"),
    "numpy": b"\x93NUMPY\x01\0" + bytes(64),
    "zeros": bytes(1000),
    "ones": b"\xff" * 1000,
}
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")


def foreign() -> Iterator[Case]:
    for i, (name, data) in enumerate(PAYLOADS.items()):
        for suffix in {".png", SUFFIXES[i % len(SUFFIXES)]}:
            yield Case(f"{name} as {suffix}", partial(in_a_folder, data, suffix))


def cut() -> Iterator[Case]:
    """Files that end early, and PNGs with a flipped bit, which checksums notice or which change nothing."""
    kinds = {"PNG": ".png", "JPEG": ".jpg", "BMP": ".bmp", "WEBP": ".webp", "TIFF": ".tif", "PPM": ".ppm"}
    for kind, suffix in kinds.items():
        options = {"lossless": True} if kind == "WEBP" else {}
        data = saved(Image.fromarray(NOISE[0]), kind, **options)
        for share in (0.02, 0.2, 0.5, 0.8, 0.97):
            yield Case(f"{kind} cut at {share}", partial(in_a_folder, data[: int(len(data) * share)], suffix))
    data = saved(Image.fromarray(NOISE[0]))
    for at in np.random.default_rng(0).integers(0, 8 * len(data), 20).tolist():
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << at % 8
        yield Case(f"PNG bit {at}", partial(in_a_folder, bytes(flipped), ".png"), same_as(NOISE[0]))


def bombs() -> Iterator[Case]:
    """Small files that claim to be large, or are once they are unpacked."""
    rows = zlib.compress(bytes(2**20))
    large = png(12000, 12000, (b"IDAT", zlib.compress(bytes(2**20))), depth=1, color=0)

    def texts(chunk: bytes, head: bytes) -> bytes:
        return png(16, 16, (chunk, head + zlib.compress(b"x" * 2**27, 1)), (b"IDAT", b""))

    webp_head = b"VP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + b"\xfe\x3f\0" * 2
    jpeg = saved(Image.fromarray(NOISE[0]), "JPEG")
    frame = jpeg.index(b"\xff\xc0")
    wide = jpeg[: frame + 5] + b"\xff\xdc\xff\xdc" + jpeg[frame + 9 :]
    scans = jpeg[:-2] + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00" * 5000 + jpeg[-2:]
    bmp = bytearray(saved(Image.fromarray(NOISE[0]), "BMP"))
    struct.pack_into("<ii", bmp, 18, 60000, 60000)
    tiff = tiff_of
    files: dict[str, tuple[Data, str]] = {
        "PNG of 2^31 pixels a side": (png(2**31 - 1, 2**31 - 1, (b"IDAT", rows)), ".png"),
        "PNG of 65000 pixels a side": (png(65000, 65000, (b"IDAT", rows)), ".png"),
        "PNG of no pixels": (png(0, 0, (b"IDAT", rows)), ".png"),
        "PNG of 144 million pixels": (large, ".png"),
        "PNG with too little data": (png(8000, 8000, (b"IDAT", zlib.compress(b"x"))), ".png"),
        "PNG with a bomb of text": (partial(texts, b"zTXt", b"a\0\0"), ".png"),
        "PNG with a bomb of a profile": (partial(texts, b"iCCP", b"a\0\0"), ".png"),
        "PNG with a bomb of international text": (partial(texts, b"iTXt", b"a\0\1\0\0\0"), ".png"),
        "PNG with a chunk of 4 GB": (png(16, 16)[:33] + b"\xff\xff\xff\xffIDAT", ".png"),
        "PNG of depth 77": (png(16, 16, (b"IDAT", rows), depth=77), ".png"),
        "PNG of 200,000 chunks": (lambda: png(16, 16, *[(b"tEXt", b"a\0b")] * 200_000), ".png"),
        "JPEG of 65500 pixels a side": (wide, ".jpg"),
        "JPEG of 5000 scans": (scans, ".jpg"),
        "BMP of 60000 pixels a side": (bytes(bmp), ".bmp"),
        "WEBP of 16383 pixels a side": (b"RIFF" + struct.pack("<I", 22) + b"WEBP" + webp_head, ".webp"),
        "WEBP that claims 4 GB": (b"RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff", ".webp"),
        "PPM of 10^9 pixels a side": (b"P6 1000000000 1000000000 255\n" + bytes(100), ".ppm"),
        "PPM of many digits": (b"P6 " + b"9" * 10**6 + b" 1 255\n", ".ppm"),
        "PPM of maximum 0": (b"P6 16 16 0\n" + bytes(768), ".ppm"),
        "PPM of maximum 70000": (b"P6 16 16 70000\n" + bytes(2000), ".ppm"),
        "PPM of negative size": (b"P6 -16 16 255\n" + bytes(768), ".ppm"),
        "PPM in letters": (b"P3 16 16 255\n" + b"x " * 768, ".ppm"),
        "PFM of floats": (b"Pf\n16 16\n-1.0\n" + bytes(1024), ".ppm"),
        "TIFF of 4 billion pixels a side": (tiff((256, 4, 2**32 - 1), (257, 4, 2**32 - 1)), ".tif"),
        "TIFF whose strip lies outside": (tiff((256, 4, 16), (257, 4, 16), (273, 4, 2**31)), ".tif"),
        "TIFF of 2^28 strips": (tiff((256, 4, 16), (257, 4, 16), (273, 4, 8, 2**28)), ".tif"),
        "TIFF of 60000 tags": (b"II*\0\x08\0\0\0\xff\xff" + bytes(12) * 60000, ".tif"),
        "TIFF that follows itself": (tiff((256, 4, 16), (257, 4, 16), following=8), ".tif"),
        "TIFF of 77 bits": (tiff((256, 4, 16), (257, 4, 16), (258, 3, 77)), ".tif"),
    }
    for name, (data, suffix) in files.items():
        yield Case(name, partial(in_a_folder, data, suffix))
    most = png(8192, 8192, (b"IDAT", zlib.compress(bytes(8192 * (8192 // 8 + 1)))), depth=1, color=0)
    yield Case("PNG of the most pixels", partial(in_a_folder, most, ".png"), lambda found: not found.any())
    for mode in ("RGB", "RGBA", "CMYK"):
        data = partial(_large, mode)
        right = None if mode == "RGBA" else (lambda found: len(np.unique(found)) == 1)
        yield Case(f"TIFF of the most pixels in {mode}", partial(in_a_folder, data, ".tif"), right)
    white = partial(in_a_folder, partial(_large, "RGBA"), ".tif", background="white")
    yield Case("TIFF of the most pixels on white", white, lambda found: bool((found == 255).all()))
    for kind in (".png", ".jpg", ".webp", ".tif", ".bmp"):
        yield Case(f"3 GB of nothing as {kind}", partial(_sparse_picture, kind))


def _large(mode: str) -> bytes:
    return saved(Image.new(mode, (8192, 8192)), "TIFF", compression="tiff_lzw")


def _sparse_picture(suffix: str, folder: Path) -> Read:
    read = in_a_folder(
        saved(Image.fromarray(NOISE[0]), "PNG" if suffix == ".png" else "JPEG"), suffix, folder
    )
    os.truncate(folder / "cat" / f"a{suffix}", 3 * 10**9)
    return read


def tiff_of(*tags: tuple[int, ...], following: int = 0) -> bytes:
    """A little-endian TIFF of tags (number, type, value[, count]) and nothing else."""
    entries = b"".join(struct.pack("<HHII", t[0], t[1], t[3] if len(t) > 3 else 1, t[2]) for t in tags)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + struct.pack("<I", following)


def modes() -> Iterator[Case]:
    """Values whose meaning is not clear are refused; what is clear is read rightly."""
    deep = Image.fromarray(DEEP.astype(np.uint16))
    upper = np.repeat((DEEP.astype(np.uint16) >> 8).astype(np.uint8)[:, :, None], 3, axis=2)
    data = saved(deep, "TIFF")
    unclear = {
        "TIFF of floats": saved(Image.fromarray(DEEP.astype(np.float32) / 65535), "TIFF"),
        "TIFF of large floats": saved(Image.fromarray(DEEP.astype(np.float32)), "TIFF"),
        "TIFF of NaN": saved(Image.fromarray(np.full((16, 16), np.nan, np.float32)), "TIFF"),
        "TIFF of 32-bit integers": saved(Image.fromarray(DEEP.astype(np.int32)), "TIFF"),
        "TIFF of small 32-bit integers": saved(Image.fromarray((DEEP / 256).astype(np.int32)), "TIFF"),
        "TIFF in LAB": saved(Image.new("LAB", (16, 16), (128, 20, 20)), "TIFF"),
        "TIFF in packed LAB": saved(
            Image.new("LAB", (16, 16), (128, 20, 20)), "TIFF", compression="tiff_lzw"
        ),
        "TIFF where 0 is white": _retagged(data, 262, 0),
        "TIFF of 12 bits": _retagged(data, 258, 12),
    }
    for name, file in unclear.items():
        yield Case(name, partial(in_a_folder, file, ".tif"))
        yield Case(f"{name} as .png", partial(in_a_folder, file, ".png"))
    transparent = Image.fromarray(np.dstack([NOISE[0], NOISE[1][..., 0]]))
    for kind, suffix in (("PNG", ".png"), ("WEBP", ".webp"), ("TIFF", ".tif")):
        yield Case(f"transparent {kind}", partial(in_a_folder, saved(transparent, kind), suffix))
    palette = Image.fromarray(NOISE[0]).quantize(256)
    turned = Image.Exif()
    turned[0x0112] = 6
    upright = saved(Image.fromarray(NOISE[0]), exif=turned)
    clear = {
        "PNG of 16 bits": (saved(deep), ".png", upper),
        "PGM of 16 bits": (saved(deep, "PPM"), ".pgm", upper),
        "TIFF of 16 bits": (data, ".tif", upper),
        "PNG of a palette": (saved(palette), ".png", np.array(palette.convert("RGB"))),
        "PNG turned by its EXIF": (upright, ".png", np.rot90(NOISE[0], -1)),
        "PNG named .jpg": (saved(Image.fromarray(NOISE[0])), ".jpg", NOISE[0]),
        "BMP named .png": (saved(Image.fromarray(NOISE[0]), "BMP"), ".png", NOISE[0]),
        "TIFF packed": (saved(Image.fromarray(NOISE[0]), "TIFF", compression="tiff_lzw"), ".tif", NOISE[0]),
        "PNG with bytes behind its end": (saved(Image.fromarray(NOISE[0])) + bytes(1000), ".png", NOISE[0]),
        "PNG of one bit": (saved(Image.fromarray(NOISE[0]).convert("1")), ".png", None),
    }
    for name, (file, suffix, image) in clear.items():
        if image is None:
            image = np.array(Image.fromarray(NOISE[0]).convert("1").convert("RGB"))
        yield Case(name, partial(in_a_folder, file, suffix), same_as(image))


def _retagged(data: bytes, tag: int, value: int) -> bytes:
    at = data.index(struct.pack("<HH", tag, 3))
    return data[: at + 8] + struct.pack("<I", value) + data[at + 12 :]


def odd_files() -> Iterator[Case]:
    """Things in a folder of pictures that are no files, and names that mean trouble."""

    def with_entry(make: Callable[[Path], object], folder: Path) -> Read:
        (folder / "cat").mkdir()
        make(folder / "cat" / "a.png")
        return lambda: ImageFolder(folder, image_size=16).image(0)

    makers: dict[str, Callable[[Path], object]] = {
        "a folder": lambda path: path.mkdir(),
        "a pipe": os.mkfifo,
        "a dangling link": lambda path: path.symlink_to(path.with_name("gone.png")),
        "a link to itself": lambda path: path.symlink_to(path),
        "a link to endless zeros": lambda path: path.symlink_to("/dev/zero"),
        "a link to a password file": lambda path: path.symlink_to("/etc/passwd"),
        "a link to its own folder": lambda path: path.symlink_to(path.parent),
    }
    for name, make in makers.items():
        yield Case(f"{name} named .png", partial(with_entry, make))

    def same_names(first: str, second: str, folder: Path) -> Read:
        for name in (first, second):
            (folder / name).mkdir()
            Image.fromarray(NOISE[0]).save(folder / name / "a.png")
        return lambda: ImageFolder(folder, image_size=16)

    for first, second in (("a_b", "a b"), ("_", " "), ("x__y", "x_ y")):
        yield Case(f"folders {first!r} and {second!r}", partial(same_names, first, second))
    for name in ("line\nend", "\x1b[31mred", "\u202edlo", "a" * 200):
        yield Case(f"torn picture {name[:12]!r}", partial(_torn_in, name))


def _torn_in(name: str, folder: Path) -> Read:
    (folder / name).mkdir()
    (folder / name / "a.png").write_bytes(b"x")
    return lambda: ImageFolder(folder, image_size=16).image(0)


# -- zips ----------------------------------------------------------------------------------------------------

LABELS = [[f"{i}.png", i % 2] for i in range(6)]


def with_index(index: Any, folder: Path) -> Read:
    """A zip of six images with this index: a dict, or its bytes."""
    with zipfile.ZipFile(folder / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for i, image in enumerate(NOISE):
            archive.writestr(f"{i}.png", encode_png(image))
        archive.writestr("dataset.json", json.dumps(index) if isinstance(index, dict) else made(index))
    return lambda: ZippedImages(folder / "x.zip")


def indexes() -> Iterator[Case]:
    more = {
        "one caption each, as texts": {"captions": ["a cat"] * 6},
        "captions as one text": {"captions": "a cat"},
        "captions of numbers": {"captions": [[1]] * 6},
        "captions as a dict": {"captions": {"0": ["a"]}},
        "too few captions": {"captions": [["a"]]},
        "captions of lists of lists": {"captions": [[["a"]]] * 6},
        "classes as one text": {"classes": "cats"},
        "classes of numbers": {"classes": [1, 2]},
        "classes twice": {"classes": ["cat", "cat"]},
        "classes too few": {"classes": ["cat"]},
        "classes as a dict": {"classes": {"cat": 0, "dog": 1}},
        "classes as a number": {"classes": 2},
        "factor values of halves": {"factors": {"f": {"names": ["x", "y"], "values": [0.5] * 6}}},
        "factor values too large": {"factors": {"f": {"names": ["x"], "values": [1] * 6}}},
        "factor values negative": {"factors": {"f": {"names": ["x"], "values": [-1] * 6}}},
        "factor values true": {"factors": {"f": {"names": ["x", "y"], "values": [True] * 6}}},
        "factor names as one text": {"factors": {"f": {"names": "xy", "values": [0] * 6}}},
        "factor without names": {"factors": {"f": {"values": [0] * 6}}},
        "factors as a list": {"factors": [[0] * 6]},
        "a factor that is a number": {"factors": {"f": 7}},
        "a split out of bounds": {"split": {"names": ["train"], "values": [7] * 6}},
        "a split as a text": {"split": "train"},
        "a title that is a number": {"title": 7},
        "a title that is a list": {"title": ["x"] * 100},
        "a license that is a dict": {"license": {"a": 1}},
    }
    for name, keys in more.items():
        yield Case(f"index with {name}", partial(with_index, {"labels": LABELS, **keys}))
    for name, label in {
        "1.7": 1.7,
        "1e18": 10**18,
        "1e30": 10**30,
        "3e8": 3 * 10**8,
        "-1": -1,
        "text": "0",
        "true": True,
        "none": None,
        "nan": float("nan"),
        "inf": float("inf"),
        "list": [0, 1],
        "dict": {"class": 1},
    }.items():
        yield Case(f"label {name}", partial(with_index, {"labels": [["0.png", 0], ["1.png", label]]}))
    texts: dict[str, Data] = {
        "torn": b'{"labels": [["0.png", 0]',
        "empty": b"",
        "not text": b"\xff\xfe\xfa\x00\x01",
        "latin-1": '{"labels": [["ä.png", 0]]}'.encode("latin-1"),
        "a list": b"[1, 2]",
        "a number": b"7",
        "null": b"null",
        "nested lists": b'{"labels":' + b"[" * 900 + b"]" * 900 + b"}",
        "very nested lists": b"[" * 500_000,
        "very nested dicts": b'{"a":' * 100_000,
        "a long number": b'{"labels": [["0.png", ' + b"9" * 10**6 + b"]]}",
        "300 MB of blanks": lambda: b" " * (300 * 10**6),
        "250 MB of blanks": lambda: b" " * (250 * 10**6) + b"{}",
        "many small lists": b'{"labels": [' + b"[]," * 10**6 + b"[]]}",
        "many small dicts": b'{"labels": [' + b"{}," * 10**6 + b"{}]}",
        "labels as text": b'{"labels": "0.png"}',
        "labels as a number": b'{"labels": 7}',
        "labels as a dict": b'{"labels": {"0.png": 0}}',
        "labels of three": b'{"labels": [["0.png", 0, 0]]}',
        "labels of numbers": b'{"labels": [[0, 0]]}',
        "labels of one": b'{"labels": [["0.png"]]}',
        "a missing image": b'{"labels": [["9.png", 0]]}',
        "a path outside": b'{"labels": [["../../etc/passwd", 0]]}',
        "an absolute path": b'{"labels": [["/etc/passwd", 0]]}',
        "itself as an image": b'{"labels": [["dataset.json", 0], ["dataset.json", 1]]}',
        "an image twice": b'{"labels": [["0.png", 0], ["0.png", 1]]}',
        "an image twice, alike": b'{"labels": [["0.png", 0], ["0.png", 0]]}',
    }
    for name, text in texts.items():
        yield Case(f"index of {name}", partial(with_index, text))
    utf16 = json.dumps({"labels": LABELS}).encode("utf-16")
    yield Case("index in UTF-16", partial(with_index, utf16), lambda found: len(found) == 6)
    twice = b'{"labels": [["0.png", 7]], "labels": [["0.png", 0], ["1.png", 1]]}'
    yield Case("index with a key twice", partial(with_index, twice), lambda found: len(found) == 2)


def archives() -> Iterator[Case]:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for i, image in enumerate(NOISE):
            archive.writestr(f"{i}.png", encode_png(image))
    good = buffer.getvalue()
    table = good.index(b"PK\x01\x02")  # of contents: the first member
    end = good.index(b"PK\x05\x06")

    def patched(at: int, code: str, value: int, data: bytes = good) -> bytes:
        field = struct.pack(code, value)
        return data[:at] + field + data[at + len(field) :]

    files = {
        "empty file": b"",
        "not a zip": b"x" * 1000,
        "empty zip": b"PK\x05\x06" + bytes(18),
        "encrypted": patched(table + 8, "<H", 1),
        "strongly encrypted": patched(table + 8, "<H", 0x41),
        "patched data": patched(table + 8, "<H", 0x20),
        "of an unknown method": patched(table + 10, "<H", 99),
        "of deflate64": patched(table + 10, "<H", 9),
        "of version 99": patched(table + 6, "<H", 99),
        "3 GB claimed": patched(table + 24, "<I", 3 * 10**9),
        "200 MB claimed": patched(table + 24, "<I", 2 * 10**8),
        "fewer bytes claimed": patched(table + 24, "<I", 10),
        "more bytes packed": patched(table + 20, "<I", 2**31),
        "wrong checksum": patched(table + 16, "<I", 7),
        "member outside": patched(table + 42, "<I", 2**31),
        "wrong local name": patched(30, "<B", 0x41),
        "wrong entry count": patched(end + 10, "<H", 60000),
        "wrong table size": patched(end + 12, "<I", 2**31),
        "wrong table place": patched(end + 16, "<I", 2**31),
        "zip64 without more": patched(end + 16, "<I", 2**32 - 1),
    }
    for share in (0.1, 0.5, 0.8, 0.95, 0.999):
        files[f"cut at {share}"] = good[: int(share * len(good))]

    def read_first(data: bytes, folder: Path) -> Read:
        (folder / "x.zip").write_bytes(data)
        return lambda: ZippedImages(folder / "x.zip").image(0)

    lenient = (
        "wrong entry count",
        "zip64 without more",
        "more bytes packed",
    )  # Python's reader goes by other fields
    for name, data in files.items():
        right = same_as(NOISE[0]) if name in lenient else None
        yield Case(f"zip, {name}", partial(read_first, data), right)

    def packed(method: int, size: int, folder: Path) -> Read:
        with zipfile.ZipFile(folder / "x.zip", "w", method, compresslevel=1) as archive:
            archive.writestr("0.png", bytes(size))
        return lambda: ZippedImages(folder / "x.zip").image(0)

    yield Case("zip, bzip2 bomb", partial(packed, zipfile.ZIP_BZIP2, 2 * 10**7))
    yield Case("zip, lzma bomb", partial(packed, zipfile.ZIP_LZMA, 10**7))
    yield Case("zip, deflate bomb", partial(packed, zipfile.ZIP_DEFLATED, 26 * 10**7))
    yield Case("zip, larger bomb", partial(packed, zipfile.ZIP_DEFLATED, 3 * 10**8))

    def hidden_bomb(folder: Path) -> Read:
        """Says 1000 bytes and inflates to 400 MB."""
        read = packed(zipfile.ZIP_DEFLATED, 4 * 10**8, folder)
        data = (folder / "x.zip").read_bytes()
        (folder / "x.zip").write_bytes(patched(data.index(b"PK\x01\x02") + 24, "<I", 400_000, data))
        return read

    yield Case("zip, bomb that claims to be small", hidden_bomb)

    def missing(folder: Path) -> Read:
        return lambda: ZippedImages(folder / "x.zip")

    yield Case("zip, missing", missing)

    def sizes(folder: Path) -> Read:
        write_zip(folder / "x.zip", [("0.png", NOISE[0]), ("1.png", NOISE[1][:8])], {"labels": None})
        return lambda: ZippedImages(folder / "x.zip").image(1)

    yield Case("zip, images of two sizes", sizes)


# -- IDX -----------------------------------------------------------------------------------------------------


def idx(shape: tuple[int, ...], values: bytes, code: int = 8) -> bytes:
    return bytes([0, 0, code, len(shape) % 256]) + np.array(shape, ">u4").tobytes() + values


def idx_files() -> Iterator[Case]:
    good = idx((2, 3), bytes(6))
    files = {
        "empty": b"",
        "two bytes": b"\0\0",
        "html": PAYLOADS["html"],
        "no axes": b"\0\0\x08\x03",
        "half an axis": b"\0\0\x08\x01\0\0",
        "3 GB claimed": idx((3, 10**9), b"x"),
        "4 GB claimed": idx((2**32 - 1,), b"x"),
        "16 EB claimed": idx((2**32 - 1, 2**32 - 1), b"x"),
        "product of 2^64": idx((2**16,) * 4, b""),
        "product of 0 with more": idx((0, 2**31), b"x"),
        "200 axes": idx((1,) * 200, b"x"),
        "255 axes": b"\0\0\x08\xff" + b"\0\0\0\2" * 255,
        "one byte short": good[:-1],
        "one byte long": good + b"x",
        "3 x 10^8 labels": idx((3 * 10**8,), b"\0"),
    }
    files |= {f"type {code:#x}": idx((2, 3), bytes(48), code) for code in (0, 9, 11, 12, 13, 14, 255)}

    def read(data: bytes, folder: Path) -> Read:
        (folder / "x").write_bytes(data)
        return lambda: read_idx(folder / "x")

    for name, data in files.items():
        yield Case(f"IDX, {name}", partial(read, data))
        yield Case(f"IDX, {name}, packed", partial(read, gzip.compress(data)))
    packed = gzip.compress(idx((1000,), bytes(range(250)) * 4))
    torn = {
        "cut": packed[: len(packed) // 2],
        "without its checksum": packed[:-6],
        "wrong checksum": packed[:-8] + b"xxxx" + packed[-4:],
        "head only": packed[:10],
        "3 GB claimed, 16 MB there": gzip_of(idx((3, 10**9), b""), 16),
        "a flipped bit": packed[:40] + bytes([packed[40] ^ 255]) + packed[41:],
    }
    for name, data in torn.items():
        yield Case(f"IDX in gzip, {name}", partial(read, data))
    yield Case(
        "IDX, nothing in it", partial(read, idx((0, 28, 28), b"")), lambda found: found.shape == (0, 28, 28)
    )

    def fashion(images: bytes, labels: bytes, folder: Path) -> Read:
        (folder / "train-images-idx3-ubyte").write_bytes(images)
        (folder / "train-labels-idx1-ubyte").write_bytes(labels)
        return lambda: FashionMNIST(str(folder))

    three = idx((3, 28, 28), bytes(3 * 784))
    sets = {
        "labels to 10": (three, idx((3,), b"\0\1\x0a")),
        "a label too few": (three, idx((2,), b"\0\1")),
        "labels of two axes": (three, idx((3, 1), b"\0\1\1")),
        "images as rows": (idx((3, 784), bytes(3 * 784)), idx((3,), b"\0\1\1")),
        "images of 32 pixels": (idx((3, 32, 32), bytes(3072)), idx((3,), b"\0\1\1")),
        "images and labels swapped": (idx((3,), b"\0\1\1"), three),
        "400 MB of images": (gzip_of(idx((510_000, 28, 28), b""), 16), idx((3,), b"\0\1\1")),
    }
    for name, (images, labels) in sets.items():
        yield Case(f"Fashion-MNIST, {name}", partial(fashion, images, labels))


def gzip_of(head: bytes, megabytes: int) -> bytes:
    """A head and zeros, packed piece by piece."""
    file = io.BytesIO()
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=1) as packed:
        packed.write(head)
        for _ in range(megabytes):
            packed.write(bytes(2**20))
    return file.getvalue()


# -- CIFAR ---------------------------------------------------------------------------------------------------

DATA = np.zeros((2, 3072), np.uint8)


def in_cifar(name: str, data: bytes, folder: Path) -> Read:
    """CIFAR-10 with one of its files replaced."""
    mini_cifar(folder, each=2)
    (folder / "cifar-10-batches-py" / name).write_bytes(data)
    return lambda: CIFAR10(folder)


class _Calls:
    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def nested(depth: int, kind: type = list) -> Any:
    value: Any = kind([0, 0])
    for _ in range(depth):
        value = kind([value, value])
    return value


def programs() -> dict[str, bytes]:
    return {
        "os.system": pickle.dumps(_Calls(os.system, "touch started")),
        "eval": pickle.dumps(_Calls(eval, "open('started', 'w')")),
        "exec": b"cbuiltins\nexec\n(S\"open('started', 'w')\"\ntR.",
        "subprocess": b"csubprocess\nPopen\n(S'true'\ntR.",
        "getattr": b"cbuiltins\ngetattr\n(cnumpy\nndarray\nS'dump'\ntR.",
        "numpy.load": b"cnumpy\nload\n(S'x.npy'\ntR.",
        "numpy.fromfile": b"cnumpy\nfromfile\n(S'/etc/passwd'\ntR.",
        "torch.load": b"ctorch\nload\n(S'x.pt'\ntR.",
        "an unknown module": b"cno_such_module\nname\n.",
        "a dotted name": b"\x80\x04\x8c\x05numpy\x8c\x0fndarray.__new__\x93.",
        "a name of numbers": b"\x80\x04K\x01K\x02\x93.",
        "INST": b"(S'true'\nios\nsystem\n.",
        "OBJ": b"(cos\nsystem\nS'true'\no.",
        "NEWOBJ_EX": b"\x80\x04cnumpy\nndarray\n)}\x92.",
        "EXT1": b"\x80\x02\x82\x01.",
        "a persistent id": b"Px\n.",
        "a binary persistent id": b"K\x01Q.",
        "an array of 10^13": b"cnumpy\nndarray\n(I9999999999999\ntR.",
        "numbers of objects": b"cnumpy\ndtype\n(S'O'\ntR.",
        "numbers of structures": b"cnumpy\ndtype\n(S'V8'\ntR.",
        "a codec": b"c_codecs\nencode\n(S'x'\nS'zip'\ntR.",
        "attributes": b"c_codecs\nencode\n(N}S'__doc__'\nS'x'\nstb.",
        "memo 2^28": b"}Nr\x00\x00\x00\x10.",
        "memo 2^31": b"}Nr\xff\xff\xff\x7f.",
        "memo that is not there": b"}h\x07.",
        "negative memo": b"}p-1\n.",
        "bytes of 2^40": b"\x8e" + struct.pack("<Q", 2**40) + b"x.",
        "text of 2^31": b"X\xff\xff\xff\x7fx.",
        "old text of 2^31": b"T\xff\xff\xff\x7fx.",
        "old text of negative length": b"T\xff\xff\xff\xffx.",
        "a frame of 2^60": b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"}.",
        "a byte array of 2^40": b"\x96" + struct.pack("<Q", 2**40) + b"x.",
        "a number of 2^31 bytes": b"\x8b\xff\xff\xff\x7fx.",
        "a number of many digits": b"I" + b"9" * 10**6 + b"\n.",
        "an empty stack": b"t.",
        "no mark": b"u.",
        "no stop": b"}",
        "no bytes": b"",
        "protocol 77": b"\x80\x4d}.",
        "a buffer outside": b"\x80\x05\x97.",
        "a list": b"].",
        "a number": b"K\x01.",
        "a million marks": b"(" * 10**6 + b".",
        "three million numbers": b"](" + b"K\x01" * 3 * 10**6 + b"e.",
        "deep lists": b"]" * 10**6 + b"a" * (10**6 - 1) + b".",
        "a nested key": b"}(" + b")" + b"2\x86" * 60 + b"I0\nu.",
        "a nested set": b"\x80\x04\x8f(" + b")" + b"2\x86" * 60 + b"\x90.",
        "an unhashable key": b"}]Ns.",
        "half a pair": b"}(K\x01u.",
        "html": PAYLOADS["html"],
        "a zip": PAYLOADS["zip"],
    }


def batches() -> Iterator[Case]:
    for name, data in programs().items():
        yield Case(f"batch, {name}", partial(in_cifar, "data_batch_1", data))
        if name in ("os.system", "memo 2^28", "no bytes", "a nested key"):
            yield Case(f"names, {name}", partial(in_cifar, "batches.meta", data))
    zeros = [0, 0]
    contents: dict[str, Any] = {
        "rows of 3071": {"data": np.zeros((2, 3071), np.uint8), "labels": zeros},
        "floats": {"data": DATA.astype(np.float32), "labels": zeros},
        "16-bit numbers": {"data": DATA.astype(np.uint16), "labels": zeros},
        "one axis": {"data": DATA.ravel(), "labels": zeros},
        "four axes": {"data": DATA.reshape(2, 3, 32, 32), "labels": zeros},
        "a list of data": {"data": [1, 2], "labels": zeros},
        "no data": {"labels": zeros},
        "no labels": {"data": DATA},
        "labels of another set": {"data": DATA, "fine_labels": zeros},
        "a label too few": {"data": DATA, "labels": [0]},
        "a label too many": {"data": DATA, "labels": [0] * 3},
        "label 10": {"data": DATA, "labels": [0, 10]},
        "label -1": {"data": DATA, "labels": [0, -1]},
        "label 3 x 10^8": {"data": DATA, "labels": [0, 3 * 10**8]},
        "label 10^30": {"data": DATA, "labels": [0, 10**30]},
        "label 1.7": {"data": DATA, "labels": [0, 1.7]},
        "label True": {"data": DATA, "labels": [0, True]},
        "label text": {"data": DATA, "labels": ["0", "1"]},
        "labels nested": {"data": DATA, "labels": nested(60)},
        "labels as text": {"data": DATA, "labels": "01"},
        "labels as a dict": {"data": DATA, "labels": {0: 0, 1: 1}},
        "labels of floats": {"data": DATA, "labels": np.array([0.0, 1.7])},
        "labels of two axes": {"data": DATA, "labels": np.zeros((2, 1), np.int64)},
        "labels of objects": {"data": DATA, "labels": np.array([None, 0])},
        "nothing": {},
    }
    for name, content in contents.items():
        yield Case(f"batch with {name}", partial(in_cifar, "data_batch_1", pickle.dumps(content, 2)))
    for name, names in {
        "seven": list(TEN[:7]),
        "eleven": [*TEN, "emu"],
        "two alike": [*TEN[:9], TEN[0]],
        "alike with a blank": ["a_b", "a b", *TEN[2:]],
        "one text": "airplanes!",
        "numbers": list(range(10)),
        "nested": nested(60),
        "a dict": dict.fromkeys(TEN, 0),
        "none": None,
    }.items():
        data = pickle.dumps({"label_names": names}, 2)
        yield Case(f"names, {name}", partial(in_cifar, "batches.meta", data))
    good = pickle.dumps({"data": DATA, "labels": zeros}, 2)
    for share in (0.01, 0.1, 0.5, 0.9, 0.99):
        yield Case(f"batch cut at {share}", partial(in_cifar, "data_batch_1", good[: int(share * len(good))]))
    lying = good.replace(struct.pack("<BH", 0x4D, 3072), struct.pack("<BH", 0x4D, 65535))
    yield Case("batch whose shape lies", partial(in_cifar, "data_batch_1", lying))

    def sparse(folder: Path) -> Read:
        read = in_cifar("data_batch_1", good, folder)
        os.truncate(folder / "cifar-10-batches-py" / "data_batch_1", 3 * 10**9)
        return read

    yield Case("batch of 3 GB of nothing", sparse)
    yield Case(
        "batch with marked end and more",
        partial(in_cifar, "data_batch_1", good + b"x" * 100),
        lambda d: len(d) == 10,
    )


def in_captions(data: Data, folder: Path) -> Read:
    (folder / "captions.pickle").write_bytes(made(data))
    return lambda: read_captions(folder / "captions.pickle")


def captions() -> Iterator[Case]:
    """Pickles of plain data, as large as they may be."""
    large: dict[str, Callable[[], bytes]] = {
        "lists": lambda: b"]" * 6_000_000 + b".",
        "dicts": lambda: b"(" + b"}" * 5_999_999 + b"l.",
        "lists that hold one another": lambda: b"]" * 5_000_000 + b"a" * 4_999_999 + b".",
        "marks": lambda: b"(" * 6_000_000 + b".",
        "numbers": lambda: b"](" + b"M\xff\xff" * 13_000_000 + b"e.",
        "texts": lambda: b"](" + b"U\x02ab" * 9_900_000 + b"e.",
        "the same again": lambda: b"]q\x00(" + b"h\x00" * 19_000_000 + b"e.",
        "a key for each number": lambda: (
            b"}(" + b"".join(b"J" + struct.pack("<i", i << 12) + b"N" for i in range(2**19)) + b"u."
        ),
        "too many bytes": lambda: b"](" + b"K\x01" * 30_000_000 + b"e.",
    }
    for name, data in {**programs(), **large}.items():
        yield Case(f"captions, {name}", partial(in_captions, data))


def tars() -> Iterator[Case]:
    def packed(members: list[tuple[tarfile.TarInfo, Data]], folder: Path) -> Read:
        with tarfile.open(folder / "cifar-10-python.tar.gz", "w:gz", compresslevel=1) as tar:
            for member, data in members:
                tar.addfile(member, io.BytesIO(made(data)))
        return lambda: CIFAR10(folder)

    def member(name: str, size: int = 0, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
        made = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
        made.size, made.type, made.linkname = size, kind, link
        return made

    wanted = "data_batch_1"
    contents: dict[str, list[tuple[tarfile.TarInfo, Data]]] = {
        "nothing in it": [],
        "a link for a batch": [(member(wanted, kind=tarfile.SYMTYPE, link="/etc/passwd"), b"")],
        "a hard link for a batch": [(member(wanted, kind=tarfile.LNKTYPE, link="../../x"), b"")],
        "a device for a batch": [(member(wanted, kind=tarfile.CHRTYPE), b"")],
        "a pipe for a batch": [(member(wanted, kind=tarfile.FIFOTYPE), b"")],
        "a folder for a batch": [(member(wanted, kind=tarfile.DIRTYPE), b"")],
        "an empty batch": [(member(wanted), b"")],
        "a batch outside": [(member("../../escaped", 1), b"x")],
        "400 MB of something else": [(member("zeros", 4 * 10**8), lambda: bytes(4 * 10**8))],
        "a batch of 280 MB": [(member(wanted, 28 * 10**7), lambda: bytes(28 * 10**7))],
    }
    for name, members in contents.items():
        yield Case(f"archive, {name}", partial(packed, members))

    def raw(data: Data, folder: Path) -> Read:
        (folder / "cifar-10-python.tar.gz").write_bytes(made(data))
        return lambda: CIFAR10(folder)

    claims = member(wanted, 8 * 10**12).tobuf(tarfile.GNU_FORMAT)
    extended = tarfile.TarInfo("x")
    extended.type, extended.size = tarfile.XHDTYPE, 3 * 10**9
    files: dict[str, Data] = {
        "no bytes": b"",
        "html": PAYLOADS["html"],
        "no gzip": bytes(10240),
        "torn": gzip.compress(claims)[:40],
        "a batch of 8 TB": gzip.compress(claims + bytes(10240)),
        "a header of 3 GB": lambda: gzip_of(extended.tobuf(tarfile.USTAR_FORMAT), 400),
        "a header that is noise": gzip.compress(NOISE.tobytes()),
    }
    for name, data in files.items():
        yield Case(f"archive, {name}", partial(raw, data))


# -- masks, splits -------------------------------------------------------------------------------------------


def masks() -> Iterator[Case]:
    parts = np.tile(np.array([0, 1], np.uint8), (16, 8))
    good = saved(Image.fromarray(parts))

    def read(data: bytes, folder: Path) -> Read:
        for name in ("images", "masks"):
            (folder / name).mkdir()
        Image.fromarray(NOISE[0]).save(folder / "images" / "a.png")
        (folder / "masks" / "a.png").write_bytes(data)

        def look() -> np.ndarray:
            from toolbox.data.base import checked_mask

            return checked_mask(MaskFolder(folder, ["skin", "hair"], image_size=16), 0)

        return look

    tinted = parts[:, :, None] * np.array([1, 2, 3], np.uint8)
    for name, data in {
        **{name: PAYLOADS[name] for name in ("empty", "html", "postscript", "gif", "zeros")},
        "JPEG": saved(Image.fromarray(parts), "JPEG"),
        "BMP": saved(Image.fromarray(parts), "BMP"),
        "16 bits": saved(Image.fromarray(parts.astype(np.uint16))),
        "one bit": saved(Image.fromarray(parts).convert("1")),
        "colours": saved(Image.fromarray(tinted)),
        "another shape": saved(Image.fromarray(parts[:, :8])),
        "part 7": saved(Image.fromarray(parts * 7)),
        "cut": good[: len(good) // 2],
        "65000 pixels a side": png(65000, 65000, (b"IDAT", b"")),
    }.items():
        yield Case(f"mask, {name}", partial(read, data))
    yield Case("mask, good", partial(read, good), same_as(parts))
    equal = saved(Image.fromarray(np.repeat(parts[:, :, None], 3, axis=2)))
    yield Case("mask, three equal channels", partial(read, equal), same_as(parts))


def splits() -> Iterator[Case]:
    data: ImageSet = array_set((6, 8))

    def read(content: Any, folder: Path) -> Read:
        file = folder / "split.json"
        draw_split(data, labelled_per_class=2).save(file)
        whole = json.loads(file.read_text())
        text = content if isinstance(content, bytes) else json.dumps({**whole, **content}).encode()
        file.write_bytes(text)
        return lambda: load_split(file, data)

    for name, content in {
        "halves": {"labelled": [0.5, 1, 2, 3]},
        "labels of text": {"labelled": ["0", "1"]},
        "one text": {"labelled": "0123"},
        "a number": {"labelled": 7},
        "a dict": {"labelled": {"0": 1}},
        "nested lists": {"labelled": [[0, 1], [2, 3]]},
        "an image twice": {"labelled": [*range(14), 0]},
        "an image that is not there": {"labelled": [*range(14), 99]},
        "a negative image": {"unlabelled": [-1]},
        "image 10^18": {"unlabelled": [10**18]},
        "image 10^30": {"unlabelled": [10**30]},
        "another data set": {"fingerprint": "0" * 64},
        "a fingerprint that is a list": {"fingerprint": [0]},
        "options that are a list": {"options": [1]},
        "no labelled images": {"labelled": []},
        "none": {"labelled": None},
        "no JSON": b"x",
        "no bytes": b"",
        "deep lists": b"[" * 200_000,
        "many numbers": b'{"labelled": [' + b"1," * 10**6 + b"1]}",
    }.items():
        yield Case(f"split, {name}", partial(read, content))
