"""LSE from 1, 10 or all annotations, each from several draws: cell by cell, what is done stays done."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from toolbox.interfaces import Generator, Segmenter
from toolbox.ranges import check_in, check_positive, check_whole, given
from toolbox.runs.files import write_text
from toolbox.runs.locking import locked
from toolbox.runs.terminal import say
from toolbox.weights.fingerprint import fingerprint
from toolbox_klish.lse.annotations import annotate
from toolbox_klish.lse.extractors import LSE
from toolbox_klish.lse.files import save_official
from toolbox_klish.lse.fitting import FEW, Keep, fit_few, fit_full
from toolbox_klish.lse.pairs import make_extractor_pairs
from toolbox_klish.lse.planes import Planes
from toolbox_klish.pairs.settings import PairSettings
from toolbox_klish.progress import Heartbeat
from toolbox_klish.separability.cell import judge
from toolbox_klish.separability.plan import Budget
from toolbox_klish.separability.run import check_settings

ALL = "all"
#: Table V: mIoU on real faces, of a segmenter that was trained on such labels; mean and standard deviation.
PUBLISHED = {"1": (47.1, 2.8), "10": (58.5, 0.9)}


@dataclass(frozen=True)
class FewSettings:
    """How much of everything.

    Args:
        shown: images shown to an extractor of few annotations (the authors' 6400).
        full: new images shown to one of all (50,000).
        test_images: new ones to judge on.
        truncation: of all images.
        size: pixels of the masks; None = those of the images.
        lr: of Adam, a tenth after 40 % of the steps.

    Raises:
        ValueError: for a number that makes no sense.
    """

    shown: int = FEW
    full: int = 4000
    test_images: int = 500
    truncation: float = 0.7
    size: int | None = None
    lr: float = 1e-3

    def __post_init__(self) -> None:
        check_whole(
            1, shown=self.shown, full=self.full, test_images=self.test_images, **given(size=self.size)
        )
        check_in("(0, 1]", truncation=self.truncation)
        check_positive(lr=self.lr)


def measure_few(
    out: Path,
    generator: Generator,
    teacher: Segmenter,
    shots: Sequence[int | str],
    seeds: Sequence[int],
    settings: FewSettings,
    pairs: int | None = None,
) -> str:
    """Fit, judge, and write ``few.md`` and ``few.json``; ``pairs``: so many images with each one's labels.

    Returns:
        The table, as Markdown.

    Raises:
        ConfigError: for a folder with results of other settings.
        LockedError: when another command is at work in it.
    """
    found: dict[str, list[Any]] = {str(shot): [] for shot in shots}
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        own = dict(generator=fingerprint(generator), teacher=fingerprint(teacher), **asdict(settings))
        for shot in shots:
            for seed in seeds:
                folder = out / f"shots_{shot}" / f"draw_{seed}"
                found[str(shot)].append(_cell(folder, generator, teacher, shot, seed, settings, own, pairs))
        text = markdown(found, teacher.part_names, settings)
        write_text(text, out / "few.md")
        kept = dict(settings=asdict(settings), parts=list(teacher.part_names), draws=list(seeds), found=found)
        write_text(json.dumps(kept, indent=2) + "\n", out / "few.json")
    return text


def fit_shots(
    generator: Generator,
    teacher: Segmenter,
    shot: int | str,
    seed: int,
    settings: FewSettings,
    folder: Path | None = None,
    keep: Keep | None = None,
) -> LSE:
    """One extractor, of ``shot`` annotated images or of 'all'; in ``folder`` the annotations are kept."""
    size, truncation = settings.size, settings.truncation
    if shot == ALL:
        steps = max(settings.full // 4, 1)
        return fit_full(generator, teacher, steps, 4, settings.lr, seed, truncation, size, keep)
    assert isinstance(shot, int)
    few = annotate(generator, teacher, shot, seed, truncation, size)
    if folder is not None:
        few.save(folder / "annotations.npz")
    return fit_few(generator, few, settings.shown, settings.lr, seed, keep=keep)


def _cell(
    folder: Path,
    generator: Generator,
    teacher: Segmenter,
    shot: int | str,
    seed: int,
    settings: FewSettings,
    own: Mapping[str, Any],
    pairs: int | None,
) -> dict[str, Any]:
    check_settings(folder, own)
    result = folder / "result.json"
    if not result.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_text(json.dumps(own), folder / "settings.json")
        budget = Budget(test_images=settings.test_images, truncation=settings.truncation, size=settings.size)
        with Heartbeat(f"{shot} annotations, draw {seed}") as tell:
            keep = Keep(folder / "state.pth", tell=tell)
            extractor = fit_shots(generator, teacher, shot, seed, settings, folder, keep)
            scores = judge(generator, teacher, {"LSE": Planes.of(extractor)}, budget, tell)["LSE"]
        save_official(extractor, folder / "lse.pth")
        write_text(json.dumps(scores), result)
        (folder / "state.pth").unlink(missing_ok=True)
        say(f"{shot} annotations, draw {seed}: mIoU {100 * scores['miou-klish']:.1f}")
    if pairs is not None:
        _write_pairs(folder, generator, pairs, settings)
    return dict(json.loads(result.read_text(encoding="utf-8")))


def _write_pairs(folder: Path, generator: Generator, images: int, settings: FewSettings) -> None:
    from toolbox_klish.lse.files import load_official

    extractor = load_official(folder / "lse.pth", generator)
    of = PairSettings(images=images, truncation=settings.truncation)
    make_extractor_pairs(generator, extractor, folder / "pairs", of, resume=(folder / "pairs").is_dir())


def markdown(
    found: Mapping[str, Sequence[Mapping[str, Any]]], parts: Sequence[str], settings: FewSettings
) -> str:
    """Mean and standard deviation over draws; the paper's, of real faces, beside it."""
    head = ["annotated images", "mIoU", "pixels", "paper (real faces)", *parts]
    rows = [head, ["---"] * len(head)]
    for shot, draws in found.items():
        theirs = "{} ± {}".format(*PUBLISHED[shot]) if shot in PUBLISHED else ""
        columns = zip(*(one["iou"] for one in draws), strict=True)
        each = [f"{100 * statistics.mean(column):.1f}" for column in columns]
        rows.append([shot, _cells(draws, "miou-klish"), _cells(draws, "pixel-accuracy"), theirs, *each])
    lines = ["# LSE from few annotations, in percent: mean ± standard deviation over draws", ""]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    lines += [
        "",
        f"* On {settings.test_images:,} new generated images, the teacher's labels as truth; mIoU of the "
        "authors' evaluator, without background. Parts: IoU on the pixels of all images.",
        f"* Shown: {settings.shown:,} images of few annotations, {settings.full:,} new ones of all (6,400, "
        "50,000 in the paper).",
        "* The paper's figures are those of real faces, of a segmenter that was trained on such labels.",
    ]
    return "\n".join(lines) + "\n"


def _cells(draws: Sequence[Mapping[str, Any]], name: str) -> str:
    values = [100 * one[name] for one in draws]
    text = f"{statistics.mean(values):.1f}"
    return f"{text} ± {statistics.stdev(values):.1f}" if len(values) > 1 else text
