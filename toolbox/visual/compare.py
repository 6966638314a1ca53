"""Runs side by side: the same latents and conditions through each of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.interfaces import Request, Sample
from toolbox.ranges import check_whole
from toolbox.visual.grids import save_grid


class Sampler(Protocol):
    """What is asked of a run: image i is a function of (seed, i) and of the class it is asked to show."""

    @property
    def seed(self) -> int: ...

    def requests(self) -> dict[str, dict[str, Request]]: ...

    def __call__(self, indices: Tensor, *, requests: Sequence[Request] | None = None) -> Sample: ...


@dataclass
class Comparison:
    """What was drawn, and from what.

    Attributes:
        picture: the PNG.
        conditions: what the columns have in common, in words.
        classes: class of each column, or [] where the runs have no classes in common.
        captions: caption of each column, or [] where none were asked for.
        runs: {name: facts about the run}.
    """

    picture: str
    conditions: str
    classes: list[str] = field(default_factory=list)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    captions: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """The picture, and the facts as a Markdown table."""
        picture = f"![runs side by side]({Path(self.picture).name})"
        return f"{picture}\n\nColumns: {self.conditions}.\n\n{self.table()}\n"

    def table(self) -> str:
        """The facts as a Markdown table, one row a run."""
        keys = list(dict.fromkeys(key for facts in self.runs.values() for key in facts))
        rows = [["run", *keys], ["---"] * (len(keys) + 1)]
        rows += [[name, *(facts.get(key, "") for key in keys)] for name, facts in self.runs.items()]
        return "\n".join("| " + " | ".join(_cell(value) for value in row) + " |" for row in rows)


def compare(
    samplers: Mapping[str, Sampler],
    path: str | Path,
    columns: int = 10,
    rows: int = 1,
    details: Mapping[str, Mapping[str, Any]] | None = None,
    title: str | None = None,
    metrics: Mapping[str, Mapping[str, float]] | None = None,
    texts: Sequence[str] = (),
) -> Path:
    """One picture: a block of rows for each run, in each column the same latents (and class, where all runs
    have it).

    With ``texts`` a column is a caption, and a row of each run is of the same latents.

    Beside the PNG a ``.json`` and a ``.md`` of the same name say which runs and checkpoints it shows.

    Args:
        samplers: by run name; image sizes may differ (all are enlarged to the largest), seeds may not.
        path: PNG to write.
        columns: images a row. Classes take turns along the row.
        rows: rows a run, with further latents.
        details: {run name: what to say of it: checkpoint, iteration}.
        title: line above the picture.
        metrics: {run name: {metric: value}}, under the run's name in the picture, and among its facts.
        texts: captions, in place of ``columns``.

    Returns:
        Path of the picture.

    Raises:
        ValueError: without samplers, for samplers of different seeds, for details of an unknown run, or texts
            that a run cannot be asked for, naming it.
    """
    metrics = metrics or {}
    check_whole(1, columns=columns, rows=rows)
    _check(samplers, {**(details or {}), **metrics})
    path = Path(path)
    asked = _of_texts(texts, rows) if texts else _of_classes(_common_requests(samplers), columns, rows)
    images = {name: _drawn(name, sampler, asked) for name, sampler in samplers.items()}
    row_names = [text for name in samplers for text in [_row_name(name, metrics), *[""] * (rows - 1)]]
    columns = len(asked.indices) // rows
    save_grid(_same_size(list(images.values())), path, columns, row_names, asked.names or None, title=title)
    facts = {
        name: {**_facts(samplers[name], batch), **(details or {}).get(name, {}), **metrics.get(name, {})}
        for name, batch in images.items()
    }
    of_classes, of_texts = ([], asked.names) if texts else (asked.names, [])
    comparison = Comparison(str(path), asked.words, of_classes, facts, of_texts)
    path.with_suffix(".json").write_text(json.dumps(asdict(comparison), indent=2, default=str) + "\n")
    path.with_suffix(".md").write_text(comparison.markdown())
    return path


def facts_table(picture: str | Path) -> str:
    """The table of a picture that :func:`compare` wrote."""
    return Comparison(**json.loads(Path(picture).with_suffix(".json").read_text())).table()


@dataclass
class _Asked:
    """What every run is asked for: numbers of images, requests (None: its own choice), names of columns."""

    indices: Tensor
    requests: list[Request] | None
    names: list[str]
    words: str


def _of_texts(texts: Sequence[str], rows: int) -> _Asked:
    indices = torch.arange(rows).repeat_interleave(len(texts))
    requests = [Request(text=text) for text in texts] * rows
    return _Asked(indices, requests, list(texts), "captions; the same latents in each run")


def _of_classes(named: Mapping[str, Request], columns: int, rows: int) -> _Asked:
    indices = torch.arange(columns * rows)
    if not named:
        return _Asked(indices, None, [], "the same latents; each run draws conditions of its own")
    names = [list(named)[column % len(named)] for column in range(columns)]
    return _Asked(indices, [named[name] for name in names * rows], names, "the same latents and classes")


def _drawn(name: str, sampler: Sampler, asked: _Asked) -> Tensor:
    try:
        images = sampler(asked.indices, requests=asked.requests).images
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    return images.detach().float().cpu()


def _row_name(name: str, metrics: Mapping[str, Mapping[str, float]]) -> str:
    """The run's name, and a line for each metric."""
    lines = [f"{metric} {_cell(float(value))}" for metric, value in metrics.get(name, {}).items()]
    return "\n".join([name, *lines])


def _check(samplers: Mapping[str, Sampler], details: Mapping[str, Any]) -> None:
    if not samplers:
        raise ValueError("samplers is empty: name at least one run")
    seeds = {name: sampler.seed for name, sampler in samplers.items()}
    if len(set(seeds.values())) > 1:
        raise ValueError(
            f"samplers have different seeds ({', '.join(f'{n}: {s}' for n, s in seeds.items())}): "
            "the same latents need the same seed"
        )
    unknown = sorted(set(details) - set(samplers))
    if unknown:
        raise ValueError(f"details names {', '.join(unknown)}; the runs are {', '.join(samplers)}")


def _facts(sampler: Sampler, images: Tensor) -> dict[str, Any]:
    """Image size, and how far the run's game was trained."""
    trained = getattr(getattr(sampler, "game", None), "iteration", None)
    return {"image_size": images.shape[-1], **({} if trained is None else {"iteration": int(trained)})}


def _common_requests(samplers: Mapping[str, Sampler]) -> dict[str, Request]:
    """What the runs can usually be asked for by name (classes), when all of them can be asked for
    the same.
    """
    usual = [next(iter(sampler.requests().values()), {}) for sampler in samplers.values()]
    return usual[0] if all(list(named) == list(usual[0]) for named in usual) else {}


def _same_size(batches: list[Tensor]) -> Tensor:
    """All images, enlarged to the largest: pixels are repeated where that is a whole factor."""
    size = max(max(images.shape[-2:]) for images in batches)
    return torch.cat([_enlarged(images, size) for images in batches])


def _enlarged(images: Tensor, size: int) -> Tensor:
    if images.shape[-2:] == (size, size):
        return images
    whole = all(size % side == 0 for side in images.shape[-2:])
    return (
        F.interpolate(images, size=(size, size), mode="nearest")
        if whole
        else F.interpolate(images, size=(size, size), mode="bilinear", align_corners=False)
    )


def _cell(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
