"""A clustering run: features of a generator's images, every clusterer with every seed, each fitted once."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolbox.config import ConfigError
from toolbox.features import FeatureStream
from toolbox.interfaces import Clusterer, Features
from toolbox.runs.environment import environment
from toolbox.runs.files import explain_full_disk, sweep, write_text, write_whole
from toolbox.runs.kept import keep_config
from toolbox.runs.locking import locked
from toolbox.runs.terminal import say, tracked
from toolbox.weights.fingerprint import fingerprint
from toolbox_klish.algorithm.klish import KLiSH
from toolbox_klish.progress import Heartbeat, Report
from toolbox_klish.runs.choices import Choices
from toolbox_klish.runs.compatibility import check_folder
from toolbox_klish.runs.quality import warnings_of
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.runs.settings import is_cut
from toolbox_klish.runs.sources import is_generator, name_of, read, settle
from toolbox_klish.storage import GIB, check_room, free_memory, save_features


def fit(
    config: Any,
    work_dir: str | Path | None = None,
    quick: bool = False,
    resume: bool = False,
    options: Mapping[str, Any] | None = None,
    plugins: Sequence[str | Path] = (),
    pictures: bool = True,
    choices: Choices | None = None,
) -> Path:
    """Fit what a config describes, or a generator's own file or folder, and draw it.

    What is fitted is in the folder at once, whole: a run that was killed goes on with ``resume`` and does
    what is missing.

    Args:
        config: a config's name or path, or one that is read already; or what :func:`toolbox.load_generator`
            reads, which is clustered by the settings of :mod:`toolbox_klish.runs.sources`.
        work_dir: the run's folder; default ``runs/<config>`` (``runs/<config>-quick``), of a generator
            ``runs/klish_<file>``.
        quick: the config's small version.
        resume: continue the run of the folder; also one whose ``shown``, ``final`` or ``seeds`` are more than
            they were.
        options: overrides by dotted key.
        plugins: plugin files.
        pictures: whether to draw at the end.
        choices: overrule the config.

    Returns:
        The run's folder (:class:`toolbox_klish.runs.run.ClusterRun`).

    Raises:
        ConfigError: for what cannot be used, before any time is spent; a folder that holds a run already, or
            another one.
        OSError: when the disk has no room for the features; nothing is written then.
        ValueError: for features that cannot be clustered.
        LockedError: when another run is at work in the folder.
    """
    run = planned(config, work_dir, quick, options, plugins, choices)
    if is_generator(config):
        from toolbox_klish.runs.plan import describe

        say(describe(run))
    with explain_full_disk(run.folder), locked(run.folder):
        sweep(run.folder)
        check_folder(run, resume)
        stream = run.stream()
        check_place(run, stream)
        _begin(run, stream)
        _fit_all(run)
        run.record |= dict(finished=True, warnings=warnings_of(run))
        _write_record(run)
        for warning in run.record["warnings"]:
            say(f"warning: {warning}")
        if pictures:
            from toolbox_klish.runs.report import draw_run

            say(f"pictures: {draw_run(run)}")
    return run.folder


def planned(
    config: Any,
    work_dir: str | Path | None = None,
    quick: bool = False,
    options: Mapping[str, Any] | None = None,
    plugins: Sequence[str | Path] = (),
    choices: Choices | None = None,
) -> ClusterRun:
    """The run that :func:`fit` would make, every clusterer built once so that a fault costs no time.

    Nothing is written.
    """
    name = config
    if not hasattr(config, "filename"):
        config = read(name, quick, options, plugins, choices)
        folder = f"runs/{name_of(name)}"
        config.setdefault("work_dir", f"{folder}-quick" if quick else folder)
    run = ClusterRun(work_dir or config.get("work_dir") or "runs/unnamed", config)
    if is_generator(name):
        settle(run, choices or Choices(), options or {})
    for name in config.clusterers:
        for k in run.numbers:
            run.build(name, run.seeds[0], k)
    return run


def check_place(run: ClusterRun, stream: FeatureStream) -> bool:
    """Whether the features go to the disk: they do if they fill more than half of the free memory.

    Raises:
        OSError: when they do not fit there either.
        ConfigError: for fewer rows than clusters.
    """
    most = _most_clusters(run)
    if stream.rows < most:
        raise ConfigError(
            f"features: {stream.rows} rows (images x pixels) cannot make {most} clusters: take more images "
            "or pixels"
        )
    needed = bytes_of(run, stream)
    if needed <= free_memory() / 2:
        return False
    what = f"{stream.rows:,} x {stream.width} features of {run.config.features.dtype}"
    check_room(_existing(run.folder), needed, what)
    return True


def _most_clusters(run: ClusterRun) -> int:
    """The most that any clusterer makes of the features, at its start or in the end."""
    most = run.numbers[0]
    for component in run.config.clusterers.values():
        most = max(most, *(component.get(key) or 0 for key in ("clusters", "first", "centres")))
    return most


def bytes_of(run: ClusterRun, stream: FeatureStream) -> int:
    """Of all features of one fit."""
    return stream.rows * stream.width * np.dtype(run.config.features.dtype).itemsize


def _begin(run: ClusterRun, stream: FeatureStream) -> None:
    """Write config and record of a run about to be fitted; of one that goes on, fits and seconds stay."""
    generator = run.generator
    run.record = {
        **run.record,
        "title": run.config.get("title", run.folder.name),
        "finished": False,
        "warnings": [],
        "generator": dict(
            source=dict(run.config.generator),
            type=type(generator).__name__,
            image_size=generator.image_size,
            n_conditions=generator.n_conditions,
            fingerprint=fingerprint(generator),
        ),
        "layers": stream.layers,
        "channels": stream.channels,
        "width": stream.width,
        "rows": stream.rows,
        "clusterers": run.clusterers,
        "numbers": run.numbers,
        "seeds": run.seeds,
        "final": run.config.final,
        "fits": run.record.get("fits", {}),
        "features": run.record.get("features", {}),
        "environment": environment({"seed": run.seeds[0]}),
    }
    keep_config(run.config, run.folder)
    _write_record(run)


def _fit_all(run: ClusterRun) -> None:
    """Every clusterer with every seed that has no file yet; several fits may share the same features."""
    features: Features | None = None
    images = -1  # the seed of the images that ``features`` are of
    for seed in run.seeds:
        missing = _missing(run, seed)
        if not missing:
            continue
        if features is None or images != run.feature_seed(seed):
            features = None  # let go of the old ones first
            images = run.feature_seed(seed)
            features = _features(run, images)
        for name, numbers in missing.items():
            _fit_one(run, name, seed, numbers, features)
    for done in _no_longer_needed(run):
        done.unlink(missing_ok=True)


def _no_longer_needed(run: ClusterRun) -> Iterable[Path]:
    """Files of ours, by name: other people's may lie beside them."""
    for seed in run.seeds:
        yield run.folder / f"features-{run.feature_seed(seed)}.npy"
        for name in run.clusterers:
            yield from (_unfinished(run.model_path(name, seed, k)) for k in _numbers(run, name))


def _unfinished(model: Path) -> Path:
    return model.with_suffix(".unfinished")


def _missing(run: ClusterRun, seed: int) -> dict[str, list[int]]:
    """{clusterer: numbers of clusters without a file}, of those that miss any."""
    missing = {}
    for name in run.clusterers:
        numbers = [k for k in _numbers(run, name) if not run.model_path(name, seed, k).is_file()]
        if numbers:
            missing[name] = numbers
    return missing


def _numbers(run: ClusterRun, name: str) -> list[int]:
    """Numbers of clusters that a clusterer has a file for."""
    return [run.config.final] if is_cut(run.config.clusterers[name]) else run.numbers


def _fit_one(run: ClusterRun, name: str, seed: int, numbers: Sequence[int], features: Features) -> None:
    """Fit a clusterer, once for all numbers if one fit answers for them, and write its states."""
    model: Any = None
    for k in numbers:
        start = time.perf_counter()
        path = run.model_path(name, seed, k)
        unfinished = _unfinished(path)
        if getattr(model, "one_fit", False):  # of the number before
            model.clusters = k  # the one that state() is of
            model.cut(k)
        else:
            with Heartbeat(path.stem) as progress:
                model = _fitted(run, run.build(name, seed, k), seed, features, unfinished, progress)
            if not is_cut(run.config.clusterers[name]):
                _check_found(model, name, k)
        write_whole(path, partial(np.savez, **model.state()))
        unfinished.unlink(missing_ok=True)
        seconds = time.perf_counter() - start
        run.record["fits"][path.stem] = dict(seconds=round(seconds, 3))
        _write_record(run)
        say(f"{path.stem}: {seconds:.1f} s")


def _check_found(model: Clusterer, name: str, k: int) -> None:
    """Raise a ValueError for more clusters than were asked for: nothing could compare them."""
    if model.n_clusters > k:
        raise ValueError(
            f"{name} was asked for clusters={k} and has found {model.n_clusters}: a clusterer of a run may "
            "find fewer clusters than its argument says, but not more"
        )


def _fitted(
    run: ClusterRun, model: Clusterer, seed: int, features: Features, unfinished: Path, progress: Report
) -> Clusterer:
    """Fitted, from where an interrupted fit stood if the clusterer can keep that."""
    if isinstance(model, KLiSH):
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        stream = None if model.drop_place is None else run.stream(seed=run.feature_seed(seed))
        places = None if stream is None else stream.places()
        return model.fit(features, checkpoint=unfinished, progress=progress, places=places)
    if "checkpoint" in inspect.signature(model.fit).parameters:
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        return model.fit(features, checkpoint=unfinished)  # type: ignore[call-arg]
    return model.fit(features)


def _features(run: ClusterRun, seed: int) -> Features:
    """The features of the images of a seed, in memory or as a memory map in the run's folder."""
    start = time.perf_counter()
    stream = run.stream(seed=seed)
    on_disk = check_place(run, stream)
    file = run.folder / f"features-{seed}.npy"
    if on_disk and file.is_file():
        return np.asanyarray(np.load(file, mmap_mode="r", allow_pickle=False))
    dtype = run.config.features.dtype
    if on_disk:
        found = save_features(file, _chunks(stream), stream.rows, stream.width, dtype)
    else:
        found = np.empty((stream.rows, stream.width), dtype=dtype)
        filled = 0
        for chunk in _chunks(stream):
            found[filled : filled + len(chunk)] = chunk
            filled += len(chunk)
    seconds = time.perf_counter() - start
    size = bytes_of(run, stream)
    run.record["features"][str(seed)] = dict(seconds=round(seconds, 3), bytes=size, on_disk=on_disk)
    say(
        f"features of {stream.images} images (seed {seed}): {stream.rows:,} x {stream.width}, "
        f"{size / GIB:.2f} GiB {'on the disk' if on_disk else 'in memory'}, {seconds:.1f} s"
    )
    return found


def _chunks(stream: FeatureStream) -> Iterable[NDArray[np.floating]]:
    """(n, D) features of one image after the other, with a progress bar."""
    for chunk in tracked(stream, stream.images, "features"):
        yield chunk.cpu().numpy()


def _write_record(run: ClusterRun) -> None:
    write_text(json.dumps(run.record, indent=2) + "\n", run.folder / "record.json")


def _existing(folder: Path) -> Path:
    """The folder, or the first above it that is there."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
