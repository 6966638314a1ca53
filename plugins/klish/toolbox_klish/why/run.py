"""Cell by cell: a variant on a sample with a seed, cut at every K; what is done stays done."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from toolbox.catalog import near_miss
from toolbox.config import ConfigError
from toolbox.runs.files import explain_full_disk, sweep, write_text, write_whole
from toolbox.runs.locking import locked
from toolbox.runs.terminal import say
from toolbox_klish.why.cells import Cell, short
from toolbox_klish.why.measure import facts, measured
from toolbox_klish.why.report import markdown
from toolbox_klish.why.samples import Sample, Size, sample_of
from toolbox_klish.why.variants import VARIANTS, Variant

Values = dict[str, Any]


def make(
    out: Path,
    plan: Mapping[str, Sequence[str]],
    seeds: Sequence[int],
    clusters: Sequence[int],
    curve: Sequence[int],
    size: Size,
) -> str:
    """Fit and judge what is not there yet; write ``why.md`` and ``why.json`` after each sample.

    Args:
        out: folder; a cell is in it at once, whole.
        plan: {sample: variants that it is clustered by}.
        seeds: of both.
        clusters: numbers of clusters in the table.
        curve: others, at which the pieces of the wall are counted.
        size: of the samples.

    Returns:
        The tables, as Markdown.

    Raises:
        ConfigError: for a folder with results of another size, or two samples of one name.
        ValueError: for an unknown sample or variant.
        LockedError: when another command is at work in the folder.
    """
    _check(plan)
    wanted = [Cell(name, variant, seed) for seed in seeds for name in plan for variant in plan[name]]
    numbers = sorted({*clusters, *curve})
    settings = dict(size=asdict(size), numbers=numbers)
    out.mkdir(parents=True, exist_ok=True)
    with explain_full_disk(out), locked(out):
        sweep(out)
        found = {cell: known for cell in wanted if (known := _known(cell, settings, out)) is not None}
        for sample, missing in _with_samples([cell for cell in wanted if cell not in found], size):
            for cell in missing:
                found[cell] = _measured(cell, sample, numbers, out)
                write_text(json.dumps(dict(settings=settings, **found[cell])), cell.file(out))
                say(f"{len(found)} of {len(wanted)}: {cell.file(out).stem}: {found[cell]['seconds']:.0f} s")
            _write(found, clusters, curve, settings, out)
        return _write(found, clusters, curve, settings, out)


def _with_samples(cells: Sequence[Cell], size: Size) -> Iterator[tuple[Sample, list[Cell]]]:
    """Each sample once, with the cells that want it, in the order of the cells."""
    groups: dict[tuple[str, int], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.data, cell.seed), []).append(cell)
    for (name, seed), group in groups.items():
        say(f"features of {short(name)}, seed {seed}")
        yield sample_of(name, seed, size), group


def _measured(cell: Cell, sample: Sample, numbers: Sequence[int], out: Path) -> Values:
    """Every K of one fit; a filter, or few first clusters, may leave large ones out."""
    variant, start = VARIANTS[cell.variant], time.process_time()
    values: Values = dict(facts={}, seconds=0.0, at={})
    if not variant.fits(sample):
        return values
    chosen = variant.applied(sample)
    if cell.variant == "klish":
        values["facts"] = facts(chosen)
    maps = {}
    for k, classifier in _cuts(variant, chosen, numbers, cell.seed):
        values["at"][str(k)] = measured(classifier, chosen)
        if chosen.shown is not None:
            maps[str(k)] = np.stack([classifier.predict(image) for image in chosen.shown]).astype(np.uint8)
    values["seconds"] = round(time.process_time() - start, 1)
    if maps:
        write_whole(cell.pictures(out), lambda file: np.savez(file, **_drawable(chosen, maps)))
    return values


def _cuts(variant: Variant, sample: Sample, numbers: Sequence[int], seed: int) -> Iterator[tuple[int, Any]]:
    if not variant.tree:
        for k in numbers:
            yield k, variant.fitted(sample, k, seed)
        return
    model = variant.fitted(sample, max(numbers), seed)
    most = getattr(model, "clusters_", max(numbers))  # of KLiSH: K0 after the filter
    for k in numbers:
        if k <= most:
            yield k, model.cut(k)


def _drawable(sample: Sample, maps: Mapping[str, Any]) -> dict[str, Any]:
    """Clusters of the pixels that are drawn, beside the images and their parts."""
    assert sample.pictures is not None
    pictures = np.round((sample.pictures + 1) * 127.5).clip(0, 255).astype(np.uint8)
    return dict(pictures=pictures, truth=np.asarray(sample.shown_truth, dtype=np.uint8), **maps)


def _known(cell: Cell, settings: Mapping[str, Any], out: Path) -> Values | None:
    """The result of a cell that is done."""
    if not cell.file(out).is_file():
        return None
    known: Values = json.loads(cell.file(out).read_text(encoding="utf-8"))
    there = known.pop("settings")
    if there != settings:
        raise ConfigError(
            f"{cell.file(out)} was made with {there}, not with {dict(settings)}: take those again, or "
            "another folder"
        )
    return known


def _write(
    found: Mapping[Cell, Values],
    clusters: Sequence[int],
    curve: Sequence[int],
    settings: Mapping[str, Any],
    out: Path,
) -> str:
    rows = [dict(data=short(c.data), variant=c.variant, seed=c.seed, **values) for c, values in found.items()]
    text = markdown(rows, clusters, curve)
    write_text(text, out / "why.md")
    write_text(json.dumps(dict(settings=settings, cells=rows), indent=2) + "\n", out / "why.json")
    return text


def _check(plan: Mapping[str, Sequence[str]]) -> None:
    names = [short(name) for name in plan]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ConfigError(f"data {min(twice)!r} is there twice: files are called by it; rename a folder")
    for variant in {variant for variants in plan.values() for variant in variants}:
        if variant not in VARIANTS:
            known = ", ".join(VARIANTS)
            raise ValueError(f"variant {variant!r}{near_miss(variant, VARIANTS)}; variants: {known}")
