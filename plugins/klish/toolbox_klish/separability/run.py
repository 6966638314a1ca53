"""Cell by cell; what is done stays done, and what was under way goes on where it was kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from toolbox.config import ConfigError
from toolbox.interfaces import Generator, Segmenter
from toolbox.runs.files import write_text, write_whole
from toolbox.runs.locking import locked
from toolbox.runs.terminal import say
from toolbox.weights.fingerprint import fingerprint
from toolbox_klish.lse.planes import Planes
from toolbox_klish.progress import Heartbeat
from toolbox_klish.separability.cell import Found, Training, judge
from toolbox_klish.separability.picture import draw
from toolbox_klish.separability.plan import METHODS, Budget
from toolbox_klish.separability.report import markdown


def make(
    out: Path,
    generators: Mapping[str, Generator],
    teacher: Segmenter,
    seeds: Sequence[int],
    budget: Budget,
    samples: int = 6,
) -> str:
    """Fit and judge what is not there yet; write ``separability.md``, ``.json`` and pictures.

    Returns:
        The tables, as Markdown.

    Raises:
        ConfigError: for a folder with results of other settings.
        LockedError: when another command is at work in it.
    """
    found: dict[str, list[Any]] = {name: [] for name in generators}
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        for name, generator in generators.items():
            own = _settings(generator, teacher, budget)
            for seed in seeds:
                folder = out / name / f"seed_{seed}"
                found[name].append(_cell(folder, generator, teacher, seed, budget, own))
            planes = _read_planes(out / name / f"seed_{seeds[0]}")
            draw(out / f"{name}.png", name, generator, teacher, planes, budget, samples)
        text = markdown(found, teacher.part_names, budget, type(teacher).__name__)
        write_text(text, out / "separability.md")
        kept = dict(budget=asdict(budget), parts=list(teacher.part_names), seeds=list(seeds), found=found)
        write_text(json.dumps(kept, indent=2) + "\n", out / "separability.json")
    return text


def _settings(generator: Generator, teacher: Segmenter, budget: Budget) -> dict[str, Any]:
    """What a result depends on but for its seed."""
    return dict(generator=fingerprint(generator), teacher=fingerprint(teacher), **asdict(budget))


def _cell(
    folder: Path,
    generator: Generator,
    teacher: Segmenter,
    seed: int,
    budget: Budget,
    own: Mapping[str, Any],
) -> dict[str, Any]:
    """The scores of each method: those that are there, or new ones."""
    check_settings(folder, own)
    result = folder / "result.json"
    if result.is_file():
        return dict(json.loads(result.read_text(encoding="utf-8")))
    folder.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(own), folder / "settings.json")
    with Heartbeat(f"{folder.parent.name}, seed {seed}") as tell:
        planes = Training(generator, teacher, budget, seed, folder / "state.pth").run(tell)
        scores = judge(generator, teacher, planes, budget, tell)
    _write_planes(planes, folder)
    write_text(json.dumps(scores), result)
    (folder / "state.pth").unlink(missing_ok=True)
    say(f"{folder.parent.name}, seed {seed}: {', '.join(_line(name, scores) for name in METHODS)}")
    return scores


def check_settings(folder: Path, own: Mapping[str, Any]) -> None:
    """Nothing that was made with other settings is mixed with what is made now."""
    kept = folder / "settings.json"
    known = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else own
    for key, value in own.items():
        if known.get(key) != value:
            raise ConfigError(
                f"{folder} was made with {key}={known.get(key)}, now it is {value}: take that again, or "
                "another folder (--out)"
            )


def _write_planes(planes: Found, folder: Path) -> None:
    """An npz of each: weight, bias, names of parts and layers."""
    import numpy as np

    for name, one in planes.items():
        arrays: dict[str, Any] = dict(weight=one.weight, bias=one.bias)
        arrays |= dict(part_names=np.array(list(one.part_names)), layers=np.array(list(one.layers)))
        write_whole(folder / f"{name}.npz", partial(np.savez, **arrays))


def _read_planes(folder: Path) -> Found:
    import numpy as np

    found = {}
    for name in METHODS:
        with np.load(folder / f"{name}.npz", allow_pickle=False) as file:
            names = {key: [str(one) for one in file[key]] for key in ("part_names", "layers")}
            found[name] = Planes(file["weight"], file["bias"], **names)
    return found


def _line(name: str, scores: Mapping[str, Mapping[str, Any]]) -> str:
    return f"{name} {100 * scores[name]['miou-klish']:.1f}"
