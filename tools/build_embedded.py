"""Build the zips of toolbox/data/embedded from the packages that publish their images.

    apt-get download dataset-fashion-mnist && dpkg -x dataset-fashion-mnist_*.deb fashion
    for p in emoji-datasource-google@16.0.0 emojilib@4.0.3 unicode-emoji-json@0.9.0; do npm pack $p; done
    for f in *.tgz; do mkdir ${f%.tgz} && tar xzf $f -C ${f%.tgz}; done

    python tools/build_embedded.py --fashion-mnist fashion/usr/share/datasets/fashion-mnist \\
        --emoji-datasource emoji-datasource-google-16.0.0/package --emojilib emojilib-4.0.3/package \\
        --unicode-emoji unicode-emoji-json-0.9.0/package

Either set can be built alone. Equal packages, Pillow and zlib give equal bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # works without installation

from toolbox.data.idx import FASHION_CLASSES, FashionMNIST  # noqa: E402
from toolbox.data.pictures import decode  # noqa: E402
from toolbox.data.zipped import write_zip  # noqa: E402

CATEGORIES = (
    "Smileys & Emotion",
    "People & Body",
    "Animals & Nature",
    "Food & Drink",
    "Travel & Places",
    "Activities",
    "Objects",
    "Symbols",
    "Flags",
)
SPLITS = ["train", "test"]
GENDERS = ["none", "woman", "man"]
WOMAN, MAN = {"2640", "1F469", "1F467", "1F475"}, {"2642", "1F468", "1F466", "1F474"}
# What makes one concept's variants differ: gender signs, adults, joiners, presentation, walking direction.
VARIANT_CODES = {"2640", "2642", "1F468", "1F469", "1F9D1", "200D", "FE0F", "27A1"}
WORDS = re.compile(r"[a-z0-9]*[a-z][a-z0-9 .'&-]+")
HELD_OUT = 0.1  # share of each category's concepts
MIN_PSNR = 46.0  # dB: a root mean square error of 1.3 of 255


def main(arguments: list[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.fashion_mnist:
        build_fashion(options.fashion_mnist, options.out / "fashion_mnist.zip", options.train, options.test)
    emoji = (options.emoji_datasource, options.emojilib, options.unicode_emoji)
    if all(emoji):
        build_emoji(*emoji, options.out / "noto_emoji.zip")
    elif any(emoji):
        raise SystemExit(
            "the emoji set needs all three of --emoji-datasource, --emojilib and --unicode-emoji"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fashion-mnist", metavar="DIR", help="folder of the four IDX files")
    parser.add_argument(
        "--train", type=int, default=800, help="training images of each class (default %(default)s)"
    )
    parser.add_argument(
        "--test", type=int, default=200, help="test images of each class (default %(default)s)"
    )
    for name in ("emoji-datasource", "emojilib", "unicode-emoji"):
        parser.add_argument(
            f"--{name}", metavar="DIR", type=Path, help="unpacked npm package (its folder 'package')"
        )
    parser.add_argument(
        "-o", "--out", type=Path, default=ROOT / "toolbox/data/embedded", help="default: %(default)s"
    )
    return parser


def build_fashion(folder: str, out: Path, train: int, test: int) -> None:
    """The first ``train`` training and ``test`` test images of each class, grey, padded to 32 x 32."""
    rows: list[tuple[str, np.ndarray, int, int]] = []
    for number, (split, each) in enumerate(zip(SPLITS, (train, test), strict=True)):
        source = FashionMNIST(folder, split)
        for i in _first_of_each_class(source.labels, each):
            rows.append((f"{split}/{i:05d}.png", source.image(i)[:, :, 0], int(source.labels[i]), number))
    write_zip(
        out,
        ((name, image) for name, image, _, _ in rows),
        {
            "title": "Fashion-MNIST (embedded)",
            "license": "MIT, (c) 2017 Zalando SE",
            "classes": list(FASHION_CLASSES),
            "labels": [[name, label] for name, _, label, _ in rows],
            "split": {"names": SPLITS, "values": [number for *_, number in rows]},
        },
    )


def _first_of_each_class(labels: np.ndarray, each: int) -> list[int]:
    return sorted(int(i) for label in np.unique(labels) for i in np.flatnonzero(labels == label)[:each])


def build_emoji(datasource: Path, emojilib: Path, unicode_emoji: Path, out: Path) -> None:
    """All base emoji (no skin tones), 64 x 64 on white; class = category."""
    entries = [e for e in _load(datasource / "emoji.json") if e["category"] in CATEGORIES]
    entries.sort(key=lambda entry: entry["sort_order"])
    names = {_bare(key): value["name"] for key, value in _load(unicode_emoji / "data-by-emoji.json").items()}
    keywords = {_bare(key): value for key, value in _load(emojilib / "dist/emoji-en-US.json").items()}
    subcategories = sorted({entry["subcategory"] for entry in entries})
    held_out = _held_out(entries)
    write_zip(
        out,
        _emoji_images(datasource / "img/google/64", entries),
        {
            "title": "Noto emoji (embedded)",
            "license": "Apache-2.0, (c) Google",
            "classes": list(CATEGORIES),
            "labels": [[entry["image"], CATEGORIES.index(entry["category"])] for entry in entries],
            "factors": {
                "subcategory": {
                    "names": subcategories,
                    "values": [subcategories.index(e["subcategory"]) for e in entries],
                },
                "gender": {"names": GENDERS, "values": [_gender(entry) for entry in entries]},
            },
            "captions": [_captions(names[_character(e)], keywords[_character(e)]) for e in entries],
            "split": {"names": SPLITS, "values": [int(_concept(entry) in held_out) for entry in entries]},
        },
    )


def _emoji_images(folder: Path, entries: list[dict[str, Any]]) -> Iterator[tuple[str, np.ndarray]]:
    for entry in entries:
        name = entry["image"]
        yield name, _fewer_colors(decode(folder / name, name, background="white"))


def _fewer_colors(image: np.ndarray) -> np.ndarray:
    """The image in 256 colours where that costs less than MIN_PSNR allows, else unchanged."""
    palette = Pillow.fromarray(image).quantize(256, kmeans=3, dither=Pillow.Dither.NONE)
    fewer = np.array(palette.convert("RGB"))
    error = float(np.mean((fewer.astype(float) - image) ** 2))
    return fewer if 255**2 / max(error, 1e-12) >= 10 ** (MIN_PSNR / 10) else image


def _load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _bare(text: str) -> str:
    return text.replace("\ufe0f", "")  # packages differ in where they write the presentation selector


def _codes(entry: dict[str, Any]) -> list[str]:
    return entry["unified"].split("-")


def _character(entry: dict[str, Any]) -> str:
    return _bare("".join(chr(int(code, 16)) for code in _codes(entry)))


def _gender(entry: dict[str, Any]) -> int:
    """1 woman, 2 man, 0 neither or both."""
    codes = set(_codes(entry))
    woman, man = bool(codes & WOMAN), bool(codes & MAN)
    if woman == man:
        return 0
    return 1 if woman else 2


def _concept(entry: dict[str, Any]) -> tuple[str, str]:
    """What is depicted, whatever the gender and direction: a concept is held out with all its variants."""
    rest = "-".join(code for code in _codes(entry) if code not in VARIANT_CODES)
    return entry["category"], rest or entry["unified"]


def _held_out(entries: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """A tenth of each category's concepts, those with the smallest hashes: stable when emoji are added."""
    chosen: set[tuple[str, str]] = set()
    for category in CATEGORIES:
        concepts = {_concept(entry) for entry in entries if entry["category"] == category}
        ranked = sorted(concepts, key=lambda concept: hashlib.sha256("/".join(concept).encode()).hexdigest())
        chosen.update(ranked[: round(HELD_OUT * len(ranked))])
    return chosen


def _captions(name: str, keywords: list[str]) -> list[str]:
    """The name, then the keywords that are words (not ':D') and are not the name again."""
    texts = [name.lower()]
    for keyword in keywords:
        text = keyword.replace("_", " ").strip().lower()
        if WORDS.fullmatch(text) and text not in texts:
            texts.append(text)
    return texts


if __name__ == "__main__":
    main()
