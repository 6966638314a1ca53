"""The files of a shard: images, masks, latents, each whole or not there."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from toolbox.data.mask_shards import picture_name, shard_file
from toolbox.data.zipped import INDEX, index_bytes, zip_members
from toolbox.runs.files import whole_file, write_whole
from toolbox_klish.pairs.settings import PairSettings
from toolbox_klish.pairs.source import Pairs, PairSource

KINDS = ("images", "masks", "latents")


def write_shard(folder: Path, shard: int, source: PairSource) -> Iterator[int]:
    """Write the three files of a shard, latents last; yields the number of new images after each batch.

    Batches begin with the shard and are drawn whole, so that an image does not depend on how many are wanted.
    """
    numbers = numbers_of(shard, source.settings)
    names = [picture_name(i, source.settings.suffix) for i in numbers]
    drawn: list[Pairs] = []
    masks: list[bytes] = []  # packed they are small
    with whole_file(shard_file(folder, "images", shard)) as file, zip_members(file) as add:
        for pairs in batches(numbers, source):
            for image, mask in zip(pairs.images, pairs.masks, strict=True):
                add(names[len(masks)], encode_picture(image, source.settings.jpeg))
                masks.append(encode_mask(mask))
            drawn.append(pairs.without_pixels())
            yield len(pairs.latents)
        add(INDEX, index_bytes(_index(names, drawn, source.classes)))
    with whole_file(shard_file(folder, "masks", shard)) as file, zip_members(file) as add:
        for name, data in zip(names, masks, strict=True):
            add(f"{name.rpartition('.')[0]}.png", data)
    write_whole(shard_file(folder, "latents", shard), partial(np.savez, **_arrays(drawn)))


def numbers_of(shard: int, settings: PairSettings) -> range:
    """Numbers of the images of a shard."""
    start = shard * settings.shard
    return range(start, min(start + settings.shard, settings.images))


def batches(numbers: range, source: PairSource) -> Iterator[Pairs]:
    """The pairs of some numbers; what the last batch has beyond them is left out."""
    step = source.batch_size
    for start in range(numbers.start, numbers.stop, step):
        yield source.draw(range(start, start + step)).first(numbers.stop - start)


def is_whole(folder: Path, shard: int, settings: PairSettings) -> bool:
    """Whether all files of a shard are there, with all of its images."""
    numbers = numbers_of(shard, settings)
    try:
        with np.load(shard_file(folder, "latents", shard), allow_pickle=False) as arrays:
            if len(arrays["latents"]) != len(numbers):
                return False
        for kind, suffix in (("images", settings.suffix), ("masks", ".png")):
            with zipfile.ZipFile(shard_file(folder, kind, shard)) as archive:
                if not {picture_name(i, suffix) for i in numbers} <= set(archive.namelist()):
                    return False
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return False
    return True


def pixels_of(folder: Path, shard: int) -> NDArray[np.int64]:
    """(images, parts) pixels of each part in the images of a shard."""
    with np.load(shard_file(folder, "latents", shard), allow_pickle=False) as arrays:
        return np.asarray(arrays["pixels"])


def encode_picture(image: NDArray[np.uint8], jpeg: int | None = None) -> bytes:
    """The file of a uint8 (H, W, 3) image, always as RGB: PNG, or JPEG of a quality without subsampling.

    PNG is packed fast: at 512 pixels half the time of zlib's usual level, and a seventh more bytes.
    """
    buffer = io.BytesIO()
    if jpeg is None:
        Pillow.fromarray(image).save(buffer, "PNG", compress_level=1)
    else:
        Pillow.fromarray(image).save(buffer, "JPEG", quality=jpeg, subsampling=0)
    return buffer.getvalue()


def encode_mask(mask: NDArray[np.uint8]) -> bytes:
    """The grey PNG of a uint8 (H, W) mask."""
    buffer = io.BytesIO()
    Pillow.fromarray(mask).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _index(names: Sequence[str], drawn: Sequence[Pairs], classes: Sequence[str]) -> dict[str, Any]:
    """StyleGAN's ``dataset.json``."""
    labels = _joined([pairs.labels for pairs in drawn])
    if labels is None:
        return {"labels": None}
    rows = [[name, int(label)] for name, label in zip(names, labels, strict=True)]
    return {"labels": rows, "classes": list(classes)}


def _arrays(drawn: Sequence[Pairs]) -> dict[str, Any]:
    found = {name: _joined([getattr(one, name) for one in drawn]) for name in ("latents", "labels", "pixels")}
    return {name: values for name, values in found.items() if values is not None}


def _joined(parts: Sequence[NDArray[Any] | None]) -> NDArray[Any] | None:
    there = [part for part in parts if part is not None]
    return np.concatenate(there) if there else None
