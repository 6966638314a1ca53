"""Generated images as files, one an image, called by number: a folder that is filled bit by bit."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from toolbox.data.base import to_uint8
from toolbox.interfaces import Condition, Request
from toolbox.randomness import seeded
from toolbox.runs.files import write_text
from toolbox.runs.terminal import progress_bar
from toolbox.visual.grids import save_picture
from toolbox.weights.fingerprint import fingerprint

if TYPE_CHECKING:
    from toolbox.training.game.sampler import Sampler

RECORD = "samples.json"  # what was asked for
TABLE = "samples.csv"  # what each image was asked to show
_NAME = re.compile(r"seed(\d{6,})\.png")
_AT_ONCE = 32  # images on a GPU, fewer of large ones
_PIXELS_AT_ONCE = 2**20


@dataclass(frozen=True)
class Written:
    """How many of the images asked for were drawn, and how many were there already."""

    drawn: int
    there: int


def file_name(number: int) -> str:
    """'seed000042.png' of image number 42."""
    return f"seed{number:06d}.png"


def write_samples(
    sampler: Sampler,
    numbers: Sequence[int],
    folder: str | Path,
    request: Request | None = None,
    options: dict[str, Any] | None = None,
) -> Written:
    """Images by number as PNG files, each whole or not there; those that are there already are left alone.

    Image i depends on the sampler's source and settings, on the request and on i, not on what else is asked
    for: on one device and number of threads to the last bit. ``samples.json`` keeps what was asked, and
    ``samples.csv`` what each image shows, where that was asked or drawn.

    Args:
        sampler: of what to draw from.
        numbers: of the images.
        folder: made where it is missing.
        request: what all of them are to show; None: what the run's conditioner draws.
        options: further settings that the images depend on, for the record.

    Raises:
        ValueError: for a folder with pictures that were not made of the same request and settings, for
            BatchNorm statistics of the batch, or a request that cannot be granted.
    """
    if sampler.bn == "batch":
        raise ValueError("bn='batch' makes an image depend on others of its batch: take running or standing")
    sampler.conditions(torch.tensor(numbers[:1]), request)  # refused here where it cannot be granted
    folder = Path(folder)
    asked = {**describe(sampler, request), **(options or {})}
    _check_same(folder, asked)
    if not (folder / RECORD).is_file():
        write_text(json.dumps(asked, indent=2) + "\n", folder / RECORD)
    missing = [number for number in numbers if not (folder / file_name(number)).is_file()]
    try:
        for number, image in _drawn(sampler, missing, request):
            save_picture(to_uint8(image).numpy(), folder / file_name(number))
    finally:
        _write_table(sampler, folder, request)
    return Written(len(missing), len(numbers) - len(missing))


def describe(sampler: Sampler, request: Request | None) -> dict[str, Any]:
    """What images depend on besides their numbers: JSON values."""
    game = sampler.game
    network = game.network(game.generator, averaged=True)
    return dict(
        generator=type(network).__name__,
        iteration=int(game.iteration),
        weights=fingerprint(network),
        conditioner=fingerprint(game.conditioner),
        seed=sampler.seed,
        truncation=sampler.truncation,
        bn=sampler.bn,
        show={} if request is None else _plain(request),
    )


def _plain(request: Request) -> dict[str, Any]:
    return {name: _as_json(getattr(request, name)) for name in request.asks()}


def _as_json(value: Any) -> Any:
    """A mask by its size and digest."""
    if isinstance(value, Tensor):
        digest = hashlib.sha256(value.cpu().to(torch.uint8).numpy().tobytes()).hexdigest()
        return f"{'x'.join(map(str, reversed(value.shape)))} {digest[:16]}"
    return list(value) if isinstance(value, tuple) else value


def _check_same(folder: Path, asked: dict[str, Any]) -> None:
    """Refuse a folder whose images are of something else."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is a file: name a folder for the images")
    record = folder / RECORD
    if not record.is_file():
        if any(folder.glob("*.png")):
            raise ValueError(
                f"{folder} holds pictures and no {RECORD} that says what they are: name another folder"
            )
        return
    try:
        kept = json.loads(record.read_text(encoding="utf-8"))
        differing = [key for key in asked if kept.get(key) != asked[key]]
    except (ValueError, AttributeError):
        raise ValueError(f"{record} cannot be read: remove the folder, or name another") from None
    if differing:
        key = differing[0]
        words = f"of other {key}" if key in ("weights", "conditioner") else f"of {key}={kept.get(key)!r}"
        now = "" if key in ("weights", "conditioner") else f", not {asked[key]!r}"
        raise ValueError(f"{folder} holds images {words}{now}: name another folder, or remove it")


def _drawn(sampler: Sampler, numbers: Sequence[int], request: Request | None) -> Iterator[tuple[int, Tensor]]:
    """(number, image (3, H, W)) of each. Drawn in blocks that do not depend on which are asked for.

    Rounding depends on how many images are computed together, and a block is always computed as a whole.
    """
    size = _block_size(sampler)
    wanted = set(numbers)
    blocks = sorted({number // size for number in numbers})
    with progress_bar(len(wanted), "drawing", unit="image", leave=False, delay=5.0) as bar:
        for block in blocks:
            indices = torch.arange(block * size, (block + 1) * size)
            with seeded(sampler.seed, "noise of samples", block):  # of a generator that draws noise afresh
                images = sampler(indices, requests=request).images.float().cpu()
            for number, image in zip(indices.tolist(), images, strict=True):
                if number in wanted:
                    yield number, image
                    bar.update()


def _block_size(sampler: Sampler) -> int:
    """One on a CPU, which gains little by more."""
    if sampler.game.device.type == "cpu":
        return 1
    return max(1, min(_AT_ONCE, _PIXELS_AT_ONCE // sampler.generator.image_size**2))


def _write_table(sampler: Sampler, folder: Path, request: Request | None) -> None:
    """A row for each image of the folder; no table where nothing is asked of images."""
    present = sorted(int(found[1]) for path in folder.iterdir() if (found := _NAME.fullmatch(path.name)))
    known = _read_table(folder / TABLE)
    rows = [known.get(number) or _row(sampler, number, request) for number in present]
    if rows and len(rows[0]) > 2:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(text.getvalue(), folder / TABLE)


def _read_table(path: Path) -> dict[int, dict[str, str]]:
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {int(row["seed"]): row for row in csv.DictReader(file)}


def _row(sampler: Sampler, number: int, request: Request | None) -> dict[str, str]:
    condition = sampler.conditions(torch.tensor([number]), request)
    return {"file": file_name(number), "seed": str(number), **_shown(sampler, condition)}


def _shown(sampler: Sampler, condition: Condition) -> dict[str, str]:
    """Class, and the name and weight of the row of the condition that weighs most."""
    shown = {}
    if condition.labels is not None and sampler.class_names:
        shown["class"] = sampler.class_names[int(condition.labels[0])]
    if condition.weights is not None:
        weight, row = condition.weights[0].max(dim=0)
        names = sampler.game.conditioner.names()
        shown["mostly"] = names[int(row)] if len(names) == condition.weights.shape[1] else str(int(row))
        shown["weight"] = f"{float(weight):.4f}"
    texts = condition.text if isinstance(condition.text, list) else None
    texts = texts or sampler.game.conditioner.in_words(condition)
    return {**shown, "text": str(texts[0])} if texts else shown


def numbers_of(text: str) -> list[int]:
    """'0-99', '7' or '1,5,10-20' as numbers, each once, in order.

    Raises:
        ValueError: for anything else.
    """
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"{text!r} names no numbers: write 0-99, or 1,5,10-20")
        found |= set(range(int(first), int(last or first) + 1))
    if not found:
        raise ValueError(f"{text!r} names no numbers: a range runs from the smaller to the larger")
    return sorted(found)
