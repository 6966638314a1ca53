"""CUB and COCO in miniature, in the folders and the pickles of Python 2 that AttnGAN's code reads."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

WORDS = ["<end>", "a", "bird", "with", "red", "blue", "wings", "cat", "on", "the", "sofa", "small"]
BIRDS = {
    "train": ["002.Laysan_Albatross/L_0001", "002.Laysan_Albatross/L_0002", "004.Groove_Ani/G_0001"],
    "test": ["007.Parakeet_Auklet/P_0001"],
}
BOXES = {name: (10.0 + i, 5.7, 20.0, 12.0 + i) for i, name in enumerate(BIRDS["train"] + BIRDS["test"])}
COCO = {
    "train": [f"COCO_train2014_{i:012d}" for i in (9, 25, 30, 34, 36)],
    "test": ["COCO_val2014_000000000042"],
}
#: (image, category, area): 30 shows a cat alone, 36 nothing.
OBJECTS = [(9, 1, 50), (9, 17, 70), (25, 1, 90.5), (25, 1, 10), (30, 17, 5), (34, 62, 8), (34, 1, 2)]
CATEGORIES = {1: "person", 17: "cat", 62: "chair"}


def python2_pickle(value: Any, protocol: int = 2) -> bytes:
    """What Python 2 writes: texts are byte strings, each value that can be shared has a place in the memo."""
    memo = iter(range(2**32))
    body = _old(value, memo) if protocol == 0 else b"\x80\x02" + _binary(value, memo)
    return body + b"."


def _binary(value: Any, memo: Any) -> bytes:
    if isinstance(value, int):
        size = b"K" if 0 <= value < 256 else b"M" if 0 <= value < 65536 else b"J"
        return size + struct.pack({b"K": "<B", b"M": "<H", b"J": "<i"}[size], value)
    if isinstance(value, str):
        raw = value.encode("latin1")
        return b"U" + bytes([len(raw)]) + raw + _put(memo)
    if isinstance(value, dict):
        start = b"}" + _put(memo) + b"("
        return start + b"".join(_binary(k, memo) + _binary(v, memo) for k, v in value.items()) + b"u"
    start = b"]" + _put(memo)
    return start + b"(" + b"".join(_binary(item, memo) for item in value) + b"e" if value else start


def _put(memo: Any) -> bytes:
    place = next(memo)
    return b"q" + bytes([place]) if place < 256 else b"r" + struct.pack("<I", place)


def _old(value: Any, memo: Any) -> bytes:
    if isinstance(value, int):
        return b"I%d\n" % value
    if isinstance(value, str):
        return b"S'" + value.encode("unicode_escape") + b"'\np%d\n" % next(memo)
    if isinstance(value, dict):
        start = b"(dp%d\n" % next(memo)
        return start + b"".join(_old(k, memo) + _old(v, memo) + b"s" for k, v in value.items())
    start = b"(lp%d\n" % next(memo)
    return start + b"".join(_old(item, memo) + b"a" for item in value)


def sentences(image: int, each: int) -> list[str]:
    """Captions of an image, of 3 to 9 words each."""
    rng = np.random.default_rng(image)
    return [" ".join(rng.choice(WORDS[1:], rng.integers(3, 10))) for _ in range(each)]


def write_captions(root: Path, names: dict[str, list[str]], each: int, protocol: int = 2) -> None:
    """filenames.pickle, captions.pickle and text/NAME.txt."""
    numbers = {word: number for number, word in enumerate(WORDS)}
    parts, image = [], 0
    for split, files in names.items():
        (root / split).mkdir(parents=True, exist_ok=True)
        (root / split / "filenames.pickle").write_bytes(python2_pickle(files, protocol))
        ids = []
        for name in files:
            lines = sentences(image, each)
            ids += [[numbers[word] for word in line.split()] for line in lines]
            text = root / "text" / f"{name}.txt"
            text.parent.mkdir(parents=True, exist_ok=True)
            text.write_text("\n".join(f"{line.capitalize()}." for line in lines) + "\n\n")
            image += 1
        parts.append(ids)
    content = [*parts, dict(enumerate(WORDS)), numbers]
    (root / "captions.pickle").write_bytes(python2_pickle(content, protocol))


def write_picture(path: Path, seed: int, width: int, height: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 4, width // 4, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((width, height)).save(path, quality=95)


def mini_birds(root: Path, protocol: int = 2) -> Path:
    """CUB with three training images of two species and a test image, ten captions each."""
    write_captions(root, BIRDS, 10, protocol)
    for split, names in BIRDS.items():
        species = [int(name[:3]) for name in names]
        (root / split / "class_info.pickle").write_bytes(python2_pickle(species, 0))
    birds = root / "CUB_200_2011"
    for i, name in enumerate(BOXES):
        write_picture(birds / "images" / f"{name}.jpg", i, 64 + 8 * i, 48)
    (birds / "images.txt").write_text("".join(f"{i} {name}.jpg\n" for i, name in enumerate(BOXES, 1)))
    boxes = (f"{i} {' '.join(map(str, box))}\n" for i, box in enumerate(BOXES.values(), 1))
    (birds / "bounding_boxes.txt").write_text("".join(boxes))
    return root


def mini_coco(root: Path, labels: bool = True) -> Path:
    """COCO with five training images and a test image, five captions each."""
    write_captions(root, COCO, 5)
    for i, name in enumerate(COCO["train"] + COCO["test"]):
        write_picture(root / "images" / f"{name}.jpg", i, 48, 64)
    if labels:
        (root / "annotations").mkdir()
        write_instances(root / "annotations" / "instances_train2014.json", OBJECTS)
        write_instances(root / "annotations" / "instances_val2014.json", [(42, 1, 7)])
    return root


def write_instances(path: Path, objects: list[tuple[int, int, float]]) -> None:
    content = {
        "images": [{"id": image} for image, _, _ in objects],
        "categories": [{"id": number, "name": name} for number, name in CATEGORIES.items()],
        "annotations": [
            {"id": i, "image_id": image, "category_id": category, "area": area, "segmentation": [[1, 2, 3]]}
            for i, (image, category, area) in enumerate(objects)
        ],
    }
    path.write_text(json.dumps(content))
