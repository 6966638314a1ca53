"""Tables V and VI on the embedded generator, cell by cell; what is done stays done.

clusters/               every clusterer at the table's K, a fit for each seed
clusters-klish-60/      one of them at another K
seed<S>/drawn.npz       generated images of a seed, and the masks of all sources
seed<S>/test.npz        others, to measure on
seed<S>/<method>/       a segmenter: its training run and result.json
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolbox.config import ConfigError, kept_file
from toolbox.data.base import ImageSet
from toolbox.runs.files import explain_full_disk, sweep, write_text
from toolbox.runs.locking import locked
from toolbox.runs.terminal import say
from toolbox_klish.runs.choices import Choices
from toolbox_klish.runs.fitting import fit
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.ufgs.matching import match, relabelled, scores_of, tables_of
from toolbox_klish.ufgs.table import sources
from toolbox_klish.ufgs.table.cell import mask_name, measured, real_tests
from toolbox_klish.ufgs.table.plan import ALONE, CLUSTERERS, Budget, Cell, cells
from toolbox_klish.ufgs.table.report import markdown

_CLUSTERS = "klish/klish_embedded"
_SEED = 1990  # of the clusterers, the authors'


def make(out: Path, methods: Sequence[str], seeds: Sequence[int], budget: Budget) -> str:
    """Train and measure what is not there yet; write ``table.md`` and ``table.json`` after each cell.

    Returns:
        The table, as Markdown.

    Raises:
        ConfigError: for a folder of another budget.
        LockedError: when another command is at work in it.
        Stopped: on Ctrl-C; the same call goes on with the cell that was being trained.
    """
    wanted = cells(methods, seeds)
    with explain_full_disk(out), locked(out):
        sweep(out)
        _check_budget(out, budget)
        found = {cell: _known(cell, out) for cell in wanted}
        text = _written(found, budget, out)
        for number, cell in enumerate(wanted, start=1):
            if found[cell]:
                continue
            tests = _prepared([c for c in wanted if c.seed == cell.seed], cell.seed, budget, out)
            found[cell] = _result(cell, budget, tests, out)
            say(f"{number} of {len(wanted)}: {cell.method}, seed {cell.seed}: {found[cell]['seconds']:.0f} s")
            text = _written(found, budget, out)
    return text


def _check_budget(out: Path, budget: Budget) -> None:
    file, own = out / "budget.json", asdict(budget)
    if not file.is_file():
        write_text(json.dumps(own, indent=2) + "\n", file)
        return
    known = json.loads(file.read_text(encoding="utf-8"))
    if known != own:
        there = ", ".join(f"{key}={value}" for key, value in known.items() if own.get(key) != value)
        raise ConfigError(f"{out} was made with {there}: take that budget again, or another folder")


def _known(cell: Cell, out: Path) -> dict[str, Any]:
    file = cell.folder(out) / "result.json"
    return dict(json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else {}


def _result(cell: Cell, budget: Budget, tests: Mapping[str, ImageSet], out: Path) -> dict[str, Any]:
    folder = cell.folder(out)
    folder.mkdir(parents=True, exist_ok=True)
    record = measured(cell, budget, folder.parent / "drawn.npz", tests, folder)
    if cell.source != "supervised":
        record["masks"] = _masks_alone(cell, budget, folder.parent)
    write_text(json.dumps(record) + "\n", folder / "result.json")
    return record


def _masks_alone(cell: Cell, budget: Budget, folder: Path) -> dict[str, Any]:
    """Scores of a source's own masks on generated images, against the teacher; clusters in hindsight."""
    images, masks = sources.kept(folder / "test.npz")
    names = sources.embedded_teacher().part_names
    truth = sources.GeneratedImages(images, masks["teacher"], names)
    columns = cell.clusters(budget.clusters) if cell.matched else len(names)
    tables = tables_of(_Fixed(masks[mask_name(cell, budget)], columns), truth)
    labels = match(tables, "paper").assignment if cell.matched else range(columns)
    return scores_of(relabelled(tables, labels))


class _Fixed:
    """Masks at hand in the place of a segmenter's, for images in their order."""

    def __init__(self, masks: sources.Masks, columns: int) -> None:
        self.part_names: Sequence[str] = [str(i) for i in range(columns)]
        self._masks, self._start = masks, 0

    def labels(self, images: Tensor) -> Tensor:
        """Those of the next images."""
        start, self._start = self._start, self._start + len(images)
        return torch.from_numpy(self._masks[start : self._start].astype(np.int64))


def _prepared(wanted: Sequence[Cell], seed: int, budget: Budget, out: Path) -> dict[str, ImageSet]:
    """Clusters and generated images of a seed, and what its segmenters are measured on."""
    folder = out / f"seed{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    drawn_from = [cell for cell in wanted if cell.source not in ("supervised", "teacher")]
    names = {mask_name(cell, budget): (cell.source, cell.clusters(budget.clusters)) for cell in drawn_from}
    test = folder / "test.npz"
    there = sources.names_of(folder / "drawn.npz") & sources.names_of(test)
    missing = {name: source for name, source in names.items() if name not in there}
    if missing or not there:
        _draw(missing, seed, budget, out)
    teacher = sources.embedded_teacher()
    images, masks = sources.kept(test)
    return {
        **real_tests(budget, seed),
        "generated": sources.GeneratedImages(images, masks["teacher"], teacher.part_names),
    }


def _draw(missing: Mapping[str, tuple[str, int]], seed: int, budget: Budget, out: Path) -> None:
    """Images of a seed with the masks of sources that were not there; what was there is kept."""
    start = time.process_time()
    teacher, found = sources.embedded_teacher(), {}
    run = _clusters(seed, budget, out)
    for name, (source, k) in missing.items():
        more = source in ALONE or (k != budget.clusters and source in CLUSTERERS)
        own = _clusters(seed, budget, out, source, k) if more else run
        found[name] = sources.classifier(own, teacher, source, k, seed, budget.shown)
    layers = run.stream(1).layers
    wanted_images = (("drawn", budget.pairs, sources.SEED), ("test", budget.generated, sources.TEST_SEED))
    for name, images, first in wanted_images:
        made = sources.draw(run.generator, found, layers, teacher, images, first + seed)
        sources.keep(out / f"seed{seed}" / f"{name}.npz", *made)
    say(f"seed {seed}: images, LSE and clusters: {time.process_time() - start:.0f} s")


def _clusters(
    seed: int, budget: Budget, out: Path, source: str | None = None, k: int | None = None
) -> ClusterRun:
    """The clustering run, fitted for all seeds up to this one: all clusterers at the table's K, or one at K.

    KLiSH and KASP start from at least one and a half times K.
    """
    own = k or budget.clusters
    work = out / ("clusters" if source is None else f"clusters-{source}-{own}")
    options: dict[str, Any] = {
        f"clusterers.{name}.{key}": value
        for name in ("ahc_ward", "ahc_arccos")
        for key, value in dict(rows=budget.ahc_rows, classifier_steps=300, learning_rate=3e-3).items()
    }
    if source == "klish_angle":
        by_angle = dict(type="KLiSH", clusters=budget.first, metric="arccos", filter_sigma=None)
        options["clusterers.klish_angle"] = by_angle
    choices = Choices(
        images=budget.clustered,
        clusters=max(budget.first, 3 * own // 2),
        clusterers=None if source is None else [source],
        shown=[own],
        final=own,
        seeds=[_SEED + number for number in range(seed + 1)],
        device="cpu",
    )
    begun = kept_file(work) is not None
    fit(_CLUSTERS, work_dir=work, resume=begun, options=options, pictures=False, choices=choices)
    return ClusterRun.open(work, "cpu")


def _written(found: Mapping[Cell, Mapping[str, Any]], budget: Budget, out: Path) -> str:
    done = {cell: values for cell, values in found.items() if values}
    names = list(sources.embedded_teacher().part_names)
    text = markdown(done, names, budget)
    rows = [dict(**asdict(cell), **values) for cell, values in done.items()]
    write_text(text, out / "table.md")
    record = dict(budget=asdict(budget), part_names=names, cells=rows)
    write_text(json.dumps(record, indent=2) + "\n", out / "table.json")
    return text
