"""The pictures at the end of a run: what the core can draw of any game, then what plugins draw of theirs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolbox.runs.files import write_text
from toolbox.training.game.sampler import SOURCE, Sampler
from toolbox.visual.grids import save_grid
from toolbox.visual.paired import has_source, paired_sheet

#: What kinds of requests are called.
KINDS = {"text": "caption"}


def draw_run(folder: str | Path, device: str = "cpu") -> None:
    """Fill ``pictures/`` and ``tables/`` of a finished run's folder. A plugin that fails to draw is named,
    and no more.
    """
    from toolbox.config import load_config
    from toolbox.loading import load_run
    from toolbox.plugins import host
    from toolbox.runs.kept import kept_path
    from toolbox.runs.terminal import say

    folder = Path(folder)
    config = load_config(kept_path(folder))
    if config.model.get("generator", "generator") not in config.model["networks"]:
        return
    sampler = load_run(folder, config, device=device)
    real = real_set(config)
    learnt_from = real if config.train_dataloader["dataset"] is not None else None
    draw_classes(sampler, learnt_from, folder)
    draw_pairs(sampler, folder, (config.get("evaluation") or {}).get("source") or SOURCE)
    if not sampler.class_names and learnt_from is not None and learnt_from.captions is not None:
        draw_captioned(learnt_from, folder)
    faults = host().call_each("draw_pictures", sampler=sampler, real=real, folder=folder)
    for name, error in faults.items():  # a picture must not cost the run
        say(f"plugin {name}: could not draw its pictures: {type(error).__name__}: {error}")


def real_set(config: Any) -> Any:
    """The images that generated ones are shown beside: those of training, or of the evaluation.

    None where there is neither, or the data of training are no :class:`toolbox.data.Stream`.
    """
    from toolbox.registry import build

    dataset = config.train_dataloader["dataset"] or {}
    source, where = dataset.get("source"), "train_dataloader.dataset.source"
    if source is None:
        source, where = (config.get("evaluation") or {}).get("real"), "evaluation.real"
    return None if source is None else build(source, "dataset", where)


def draw_classes(sampler: Sampler, real: Any, folder: Path, columns: int = 12, rows: int = 20) -> None:
    """Generated images, a row for each thing that can be asked for, and real ones of the same classes beside
    them (``real`` = None: without these).
    """
    kind = next(iter(sampler.requests()), "")
    images, names = sampler.sheet(columns, rows)
    what = f"one row a {KINDS.get(kind, kind)}; " if kind else ""
    caption = f"Generated, {what}the same latents in every row."
    add_picture(folder, "classes", images, caption, columns, names or None)
    shown = sampler.class_names[:rows]
    if shown and real is not None:
        numbers = [np.flatnonzero(real.labels == y)[:columns] for y in range(len(shown))]
        of_class = [real_images(real, rows, fill=columns) for rows in numbers]
        caption = f"Real images of the same classes ({real.title})."
        add_picture(folder, "real", torch.cat(of_class), caption, columns, shown)


def draw_pairs(
    sampler: Sampler, folder: Path, source: str = SOURCE, columns: int = 12, rows: int = 3
) -> None:
    """In a game with a source, what that makes of some latents, and under it what the generator does."""
    if has_source(sampler.game, source):
        images, names = paired_sheet(sampler, source, columns, rows)
        caption = f"The same latents by {source}, and below it by {sampler.game.generator}."
        add_picture(folder, "pairs", images, caption, columns, names)


def draw_captioned(real: Any, folder: Path, columns: int = 6, rows: int = 2) -> None:
    """Real images out of the whole data set, each over the first of its captions."""
    chosen = np.linspace(0, len(real) - 1, min(columns * rows, len(real))).astype(int)
    told = [next(iter(real.captions[i]), "") for i in chosen]
    caption = f"Real images and their captions ({real.title})."
    add_picture(folder, "real", real_images(real, chosen), caption, columns, captions=told)


def real_images(real: Any, rows: Sequence[int] | np.ndarray, fill: int = 0) -> Tensor:
    """(n, 3, H, W) images of a data set by number; then white ones, up to ``fill``."""
    from toolbox.data.base import to_tensor

    images = [to_tensor(real.image(int(i))) for i in rows]
    white = torch.ones(3, real.image_size, real.image_size)
    return torch.stack([*images, *[white] * (fill - len(images))])


def add_picture(
    folder: Path,
    name: str,
    images: Tensor,
    caption: str,
    columns: int,
    row_names: Sequence[str] | None = None,
    column_names: Sequence[str] | None = None,
    captions: Sequence[str] | None = None,
) -> Path:
    """A grid as ``pictures/<name>.png``, with its caption for the report; see :func:`save_grid`."""
    path = Path(folder) / "pictures" / f"{name}.png"
    save_grid(images, path, columns, row_names, column_names, captions=captions)
    add_caption(path, caption)
    return path


def add_caption(path: Path, caption: str) -> None:
    """What a picture shows, for the report: kept in ``captions.json`` beside it."""
    captions = path.parent / "captions.json"
    known = json.loads(captions.read_text()) if captions.is_file() else {}
    write_text(json.dumps({**known, path.name: caption}, indent=2, ensure_ascii=False), captions)


def add_table(
    folder: Path, name: str, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> Path:
    """A table as ``tables/<name>.json``, for the report."""
    path = Path(folder) / "tables" / f"{name}.json"
    contents = dict(title=title, columns=list(columns), rows=[list(row) for row in rows])
    write_text(json.dumps(contents, indent=2, ensure_ascii=False), path)
    return path
