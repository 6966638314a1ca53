"""Writing a folder of pairs: shards by number, each whole or not there, on one process or several.

A folder that was begun goes on where it stood: shards that are there stay, the others are written. Image i is
a function of the settings and i, so that the end is the same, bit for bit.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from toolbox import ranks
from toolbox.config import ConfigError
from toolbox.data.mask_shards import RECORD, UNFINISHED
from toolbox.runs.changes import differences, in_words
from toolbox.runs.files import explain_full_disk, sweep, write_text
from toolbox.runs.locking import locked
from toolbox.runs.terminal import progress_bar, say
from toolbox_klish.pairs.preview import draw_preview
from toolbox_klish.pairs.settings import PairSettings
from toolbox_klish.pairs.shards import (
    KINDS,
    batches,
    encode_mask,
    encode_picture,
    is_whole,
    numbers_of,
    pixels_of,
    write_shard,
)
from toolbox_klish.pairs.source import PairSource
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.storage import GIB

FORMAT = 1
_ROOM = 1.1  # files may turn out larger than those that were tried


def make_pairs(
    run: ClusterRun,
    out: str | Path,
    settings: PairSettings | None = None,
    clusterer: str | None = None,
    clusters: int | None = None,
    fit: int | None = None,
    resume: bool = False,
) -> Path:
    """Write images of a run's generator with their clusters as masks; on every rank of a group together.

    Args:
        run: fitted.
        out: the folder; :class:`toolbox.data.mask_shards.MaskShards` reads it.
        settings: how many, how large, ...; None = the paper's.
        clusterer, clusters, fit: as of :class:`toolbox_klish.pairs.source.PairSource`.
        resume: go on in a folder that was begun; also towards more images.

    Returns:
        The folder.

    Raises:
        ConfigError: for a folder that holds pairs already, or other ones, and as ``PairSource`` does.
        OSError: when the disk has no room for the rest; nothing is written then. When it fills up all the
            same, WriteError; finished shards stay.
        LockedError: when another process is at work in the folder.
    """
    settings = settings or PairSettings()
    return write_pairs(lambda: PairSource(run, settings, clusterer, clusters, fit), out, settings, resume)


def write_pairs(
    make_source: Callable[[], PairSource], out: str | Path, settings: PairSettings, resume: bool = False
) -> Path:
    """As :func:`make_pairs`, of any source with these settings."""
    folder = Path(out)
    ranks.on_main(lambda: _check_folder(folder, resume))
    source = ranks.together(make_source)
    record = record_of(source)
    with explain_full_disk(folder, lambda: _kept(folder, settings)), locked(folder):
        missing = ranks.on_main(lambda: _begin(folder, record, source))
        _write(folder, missing, source)
        ranks.on_main(lambda: _finish(folder, record, source))
    return folder


def record_of(source: PairSource) -> dict[str, Any]:
    """What ``pairs.json`` says but for the counts."""
    settings = source.settings
    generator = source.stream.generator
    return dict(
        format=FORMAT,
        images=settings.images,
        shard=settings.shard,
        size=[source.size, source.size - 2 * settings.border_rows],
        suffix=settings.suffix,
        jpeg=settings.jpeg,
        seed=settings.seed,
        truncation=settings.truncation_for(generator),
        noise=settings.noise,
        label=source.stream.label,
        batch_size=source.batch_size,
        border_rows=settings.border_rows,
        border_images=settings.border_images if settings.border_rows else None,
        part_names=source.part_names,
        groups=source.groups,
        classes=source.classes,
        origin=source.origin,
    )


def _write(folder: Path, missing: list[int], source: PairSource) -> None:
    """All ranks go on together, a batch each: whatever one of them meets, all hear of at once."""
    if not missing:
        return
    total = sum(len(numbers_of(shard, source.settings)) for shard in missing)
    with closing(_steps(folder, missing, source)) as steps, progress_bar(total, "pairs", unit="image") as bar:
        while True:
            done = ranks.gather_objects(ranks.together(lambda: next(steps, None)))
            if all(count is None for count in done):
                return
            bar.update(sum(count or 0 for count in done))


def _steps(folder: Path, missing: list[int], source: PairSource) -> Generator[int, None, None]:
    """This rank's share of the shards, one after the other; the number of images after each batch."""
    with explain_full_disk(folder, lambda: _kept(folder, source.settings)):
        for number, shard in enumerate(missing):
            if ranks.is_mine(number):
                yield from write_shard(folder, shard, source)


def _check_folder(folder: Path, resume: bool) -> None:
    """Raise a ConfigError for a folder that is not to be written into."""
    known = (folder / RECORD).is_file() or (folder / UNFINISHED).is_file()
    if known and not resume:
        raise ConfigError(
            f"{folder} holds pairs already: go on with --resume, or name another folder with -o"
        )
    foreign = [kind for kind in KINDS if (folder / kind).exists()]
    if foreign and not known:
        raise ConfigError(
            f"{folder} has a folder {foreign[0]!r}, but no {RECORD} that says what it holds: name another "
            "folder with -o"
        )


def _begin(folder: Path, record: dict[str, Any], source: PairSource) -> list[int]:
    """Compare with what the folder was begun with, or write that down in a new one; the missing shards."""
    settings = source.settings
    _sweep(folder)
    for name in (RECORD, UNFINISHED):
        file = folder / name
        if file.is_file():
            _check_record(folder, _read(file), record)
    missing = [shard for shard in range(settings.shards) if not is_whole(folder, shard, settings)]
    if len(missing) < settings.shards:
        say(f"{settings.shards - len(missing)} of {settings.shards} shards are there")
    if missing:
        _check_room(folder, missing, source)
    write_text(_as_json(record), folder / UNFINISHED)
    return missing


def _sweep(folder: Path) -> None:
    """Remove what killed processes were in the middle of writing, of whichever rank."""
    sweep(folder)
    for kind in KINDS:
        for leftover in (folder / kind).glob(".shard-*.tmp"):
            leftover.unlink(missing_ok=True)


def _read(file: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{file} is torn ({error}): bring it back, or name another folder") from error


def _check_record(folder: Path, old: dict[str, Any], new: dict[str, Any]) -> None:
    before = {key: value for key, value in old.items() if key not in ("images", "pixels")}
    now = {key: value for key, value in json.loads(_as_json(new)).items() if key != "images"}
    changes = dict(differences(before, now))
    if changes:
        raise ConfigError(
            f"{folder} holds pairs that were made otherwise: {in_words(changes)}. Give the settings it was "
            "begun with, or name another folder with -o"
        )
    if old.get("images", 0) > new["images"]:
        raise ConfigError(
            f"{folder} holds {old['images']} images, more than images={new['images']}: to use fewer of them, "
            f"MaskShards takes images={new['images']}"
        )


def _check_room(folder: Path, missing: list[int], source: PairSource) -> None:
    """Raise an OSError if the files that are missing will not fit, by the size of a few images."""
    first = numbers_of(missing[0], source.settings)
    pairs = next(batches(first, source))
    size = sum(len(encode_picture(image, source.settings.jpeg)) for image in pairs.images)
    size += sum(len(encode_mask(mask)) for mask in pairs.masks)
    each = size / len(pairs.images) + pairs.latents[0].nbytes + pairs.pixels[0].nbytes + 600  # names
    images = sum(len(numbers_of(shard, source.settings)) for shard in missing)
    needed = int(_ROOM * each * images)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"{images:,} pairs of {source.size} pixels need about {_in_words(needed)}, {folder} has "
            f"{_in_words(free)} free: make fewer or smaller ones, --jpeg 95, or take another disk"
        )
    say(f"{images:,} pairs, about {_in_words(needed)}")


def _in_words(size: int) -> str:
    return f"{size / GIB:.1f} GiB" if size > GIB else f"{size / 2**20:.1f} MiB"


def _kept(folder: Path, settings: PairSettings) -> str:
    whole = [len(numbers_of(n, settings)) for n in range(settings.shards) if is_whole(folder, n, settings)]
    return f"{len(whole)} finished shards ({sum(whole):,} images) are kept"


def _finish(folder: Path, record: dict[str, Any], source: PairSource) -> None:
    """The preview and the record, which says that all is there."""
    draw_preview(folder, source)
    counts = [pixels_of(folder, shard).sum(axis=0) for shard in range(source.settings.shards)]
    pixels = np.sum(counts, axis=0).tolist()
    counted = dict(zip(source.part_names, pixels, strict=True))
    write_text(_as_json({**record, "pixels": counted}), folder / RECORD)
    (folder / UNFINISHED).unlink(missing_ok=True)


def _as_json(record: dict[str, Any]) -> str:
    return json.dumps(record, indent=2, ensure_ascii=False) + "\n"
