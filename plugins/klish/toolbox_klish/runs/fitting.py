"""A clustering run: features of a generator's images, every clusterer with every seed, each fitted once."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from toolbox.config import ConfigError
from toolbox.features import FeatureStream
from toolbox.interfaces import Clusterer, Features
from toolbox.runs.changes import check_kept_command, differences, in_words, kept_config
from toolbox.runs.environment import environment
from toolbox.runs.files import explain_full_disk, sweep, write_text, write_whole
from toolbox.runs.locking import locked
from toolbox.runs.terminal import say
from toolbox.weights.fingerprint import fingerprint
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.runs.settings import COMMAND, is_cut, read_config
from toolbox_klish.storage import GIB, check_room, free_memory, save_features


def fit(
    config: Any,
    work_dir: str | Path | None = None,
    quick: bool = False,
    resume: bool = False,
    options: Mapping[str, Any] | None = None,
    plugins: Sequence[str | Path] = (),
    pictures: bool = True,
) -> Path:
    """Fit what a config describes, and draw it.

    What is fitted is in the folder at once, whole: a run that was killed goes on with ``resume`` and does
    what is missing.

    Args:
        config: a config's name or path, or one that is read already.
        work_dir: the run's folder; default ``runs/<config>`` (``runs/<config>-quick``).
        quick: the config's small version.
        resume: continue the run of the folder; also one whose ``shown``, ``final`` or ``seeds`` are more than
            they were.
        options: overrides by dotted key. plugins: plugin files.
        pictures: whether to draw at the end.

    Returns:
        The run's folder (:class:`toolbox_klish.runs.run.ClusterRun`).

    Raises:
        ConfigError: for what cannot be used, before any time is spent; a folder that holds a run already, or
            another one.
        OSError: when the disk has no room for the features; nothing is written then.
        ValueError: for features that cannot be clustered.
        LockedError: when another run is at work in the folder.
    """
    run = planned(config, work_dir, quick, options, plugins)
    with explain_full_disk(run.folder), locked(run.folder):
        sweep(run.folder)
        for torn in run.folder.glob("features-*.part"):  # of a run that was killed while it wrote them
            torn.unlink()
        _check_folder(run, resume)
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
) -> ClusterRun:
    """The run that :func:`fit` would make, every clusterer built once so that a fault costs no time; nothing
    is written.
    """
    if not hasattr(config, "filename"):
        stem = Path(str(config)).stem
        config = read_config(config, quick, options, plugins)
        config.setdefault("work_dir", f"runs/{stem}-quick" if quick else f"runs/{stem}")
    run = ClusterRun(work_dir or config.get("work_dir") or "runs/unnamed", config)
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
    asked = [
        component.get(key) or 0
        for component in run.config.clusterers.values()
        for key in ("clusters", "first", "centres")
    ]
    most = max(*asked, run.numbers[0])
    if stream.rows < most:
        raise ConfigError(
            f"features: {stream.rows} rows (images x pixels) cannot make {most} clusters: take more images "
            "or pixels"
        )
    needed = bytes_of(run, stream)
    if needed <= free_memory() / 2:
        return False
    check_room(
        _existing(run.folder),
        needed,
        f"{stream.rows:,} x {stream.width} features of {run.config.features.dtype}",
    )
    return True


def bytes_of(run: ClusterRun, stream: FeatureStream) -> int:
    """Of all features of one fit."""
    return stream.rows * stream.width * np.dtype(run.config.features.dtype).itemsize


def warnings_of(run: ClusterRun) -> list[str]:
    """Clusters of the final classifiers that a plane does not tell well from the others; numbers that a tree
    does not reach.
    """
    found = []
    for name in run.clusterers:
        for seed in run.seeds:
            model: Any = run.model(name, seed)
            words = _unreached(model, run) if hasattr(model, "iou_") else []
            low = low_clusters(model, run.config.final, run.config.warn_iou)
            if low:
                words.append(_low_in_words(low, run.config.final, run.config.warn_iou))
            found += [f"{name}, seed {seed}: {each}" for each in words]
    return found


def _unreached(model: Any, run: ClusterRun) -> list[str]:
    """A filter that left too few clusters, a threshold that ended merging too early. One cluster needs no
    merge.
    """
    first, most, final, words = model.clusters_, run.numbers[0], run.config.final, []
    last = first - len(model.iou_) + 1
    if first < most:
        words.append(
            f"the filter left {first} clusters, {most} were asked for: start from more, or weaken "
            "filter_sigma"
        )
    if max(final, 2) < last:
        words.append(
            f"merging stopped at {last} clusters, above final={final}: raise stop_iou, or leave it out"
        )
    return words


def _low_in_words(low: Mapping[int, float], clusters: int, threshold: float) -> str:
    worst = sorted(low.items(), key=lambda item: item[1])[:8]
    words = ", ".join(f"{cluster} ({iou:.2f})" for cluster, iou in worst)
    return (
        f"low separability, IoU below {threshold:g}, of {len(low)} of {clusters} clusters: {words}"
        f"{', ...' if len(low) > len(worst) else ''}"
    )


def low_clusters(model: Any, k: int, threshold: float) -> dict[int, float]:
    """{cluster: IoU} of those below a threshold where there are ``k``; empty for a clusterer that keeps no
    IoU.
    """
    if not hasattr(model, "iou_") or not model.clusters_ - len(model.iou_) < k <= model.clusters_:
        return {}
    iou = model.iou_[model.clusters_ - k, :k]
    return {int(cluster): float(iou[cluster]) for cluster in np.flatnonzero(iou < threshold)}


def _check_folder(run: ClusterRun, resume: bool) -> None:
    """A run is continued as it was begun, and never written over."""
    kept = kept_config(run.folder)
    if kept is None:
        if any(run.folder.glob("models/*.npz")):
            raise ConfigError(
                f"{run.folder} holds fitted clusterers, but no config.py that says of what: bring it back, "
                "or name "
                "another folder with --work-dir"
            )
        return
    check_kept_command(run.folder, kept, COMMAND)
    if not resume:
        raise ConfigError(
            f"{run.folder} holds a clustering run already: continue it with --resume, or name another folder "
            "with "
            "--work-dir"
        )
    changes = {
        key: pair
        for part in ("generator", "features", "clusterers")
        for key, pair in _differences(kept, run.config, part)
    }
    weights = run.record.get("generator", {}).get("fingerprint")
    if weights is not None and weights != fingerprint(run.generator):
        changes["weights of the generator"] = (weights[:12], fingerprint(run.generator)[:12])
    if changes:
        raise ConfigError(
            f"{run.folder} holds a run of another config: {in_words(changes)}. Give it the config it was "
            "begun with, "
            "or name another folder with --work-dir"
        )
    _check_names(run, kept)


def _check_names(run: ClusterRun, kept: Mapping[str, Any]) -> None:
    """names.json is of one classifier: that of the first seed at the final number."""
    path = run.folder / "names.json"
    if not path.is_file():
        return
    now, before = ({"final": config["final"], "seed": config["seeds"][0]} for config in (run.config, kept))
    if now != before:
        raise ConfigError(
            f"{path} names the clusters of seed {before['seed']} at final={before['final']}, not those of "
            "seed "
            f"{now['seed']} at final={now['final']}: keep that seed first and that number, or move the file "
            "away"
        )


def _differences(old: Any, new: Any, part: str) -> list[tuple[str, tuple[Any, Any]]]:
    """Of what both have: clusterers may be added and left out."""
    before, now = old.get(part, {}), new[part].to_dict() if hasattr(new[part], "to_dict") else dict(new[part])
    if part == "clusterers":
        before, now = (
            {name: value for name, value in each.items() if name in before and name in now}
            for each in (before, now)
        )
    return list(differences(dict(before), now, part))


def _begin(run: ClusterRun, stream: FeatureStream) -> None:
    """Config and record of a run that is about to be fitted; of one that goes on, its fits and
    seconds stay.
    """
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
    write_text(run.config.pretty_text, run.folder / "config.py")
    _write_record(run)


def _fit_all(run: ClusterRun) -> None:
    held: tuple[int, Features] | None = (
        None  # seed of the images and their features: several fits may share them
    )
    for seed in run.seeds:
        missing = {
            name: [k for k in _numbers(run, name) if not run.model_path(name, seed, k).is_file()]
            for name in run.clusterers
        }
        missing = {name: numbers for name, numbers in missing.items() if numbers}
        if not missing:
            continue
        images = run.feature_seed(seed)
        if held is None or held[0] != images:
            held = None  # let go of the old ones first
            held = images, _features(run, images)
        for name, numbers in missing.items():
            _fit_one(run, name, seed, numbers, held[1])
    for done in (*run.folder.glob("features-*.npy"), *run.folder.glob("models/*.unfinished*")):
        done.unlink()


def _numbers(run: ClusterRun, name: str) -> list[int]:
    """Numbers of clusters that a clusterer has a file for."""
    return [run.config.final] if is_cut(run.config.clusterers[name]) else run.numbers


def _fit_one(run: ClusterRun, name: str, seed: int, numbers: Sequence[int], features: Features) -> None:
    """Fit a clusterer, once for all numbers if one fit answers for them, and write its states."""
    model: Any = None
    for k in numbers:
        start, path = time.perf_counter(), run.model_path(name, seed, k)
        if getattr(model, "one_fit", False):
            model.clusters = k
            model.cut(k)
        else:
            model = _fitted(run.build(name, seed, k), features, path.with_suffix(".unfinished"))
        write_whole(path, partial(np.savez, **model.state()))
        path.with_suffix(".unfinished").unlink(missing_ok=True)
        seconds = time.perf_counter() - start
        run.record["fits"][path.stem] = dict(seconds=round(seconds, 3))
        _write_record(run)
        say(f"{path.stem}: {seconds:.1f} s")


def _fitted(model: Clusterer, features: Features, unfinished: Path) -> Clusterer:
    """Fitted, from where an interrupted fit stood if the clusterer can keep that."""
    if "checkpoint" in inspect.signature(model.fit).parameters:
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        return model.fit(features, checkpoint=unfinished)  # type: ignore[call-arg]
    return model.fit(features)


def _features(run: ClusterRun, seed: int) -> Features:
    """The features of the images of a seed, in memory or as a memory map in the run's folder."""
    stream, start = run.stream(seed=seed), time.perf_counter()
    on_disk, dtype, file = (
        check_place(run, stream),
        run.config.features.dtype,
        run.folder / f"features-{seed}.npy",
    )
    if on_disk and file.is_file():
        return np.asanyarray(np.load(file, mmap_mode="r", allow_pickle=False))
    if on_disk:
        found = save_features(
            file, (chunk.cpu().numpy() for chunk in _watched(stream)), stream.rows, stream.width, dtype
        )
    else:
        found, filled = np.empty((stream.rows, stream.width), dtype=dtype), 0
        for chunk in _watched(stream):
            found[filled : filled + len(chunk)] = chunk.cpu().numpy()
            filled += len(chunk)
    seconds = time.perf_counter() - start
    run.record["features"][str(seed)] = dict(
        seconds=round(seconds, 3), bytes=bytes_of(run, stream), on_disk=on_disk
    )
    say(
        f"features of {stream.images} images (seed {seed}): {stream.rows:,} x {stream.width}, "
        f"{bytes_of(run, stream) / GIB:.2f} GiB {'on the disk' if on_disk else 'in memory'}, {seconds:.1f} s"
    )
    return found


def _watched(stream: FeatureStream) -> Any:
    from tqdm import tqdm

    return tqdm(stream, total=stream.images, desc="features", unit="image", leave=False, disable=None)


def _write_record(run: ClusterRun) -> None:
    write_text(json.dumps(run.record, indent=2) + "\n", run.folder / "record.json")


def _existing(folder: Path) -> Path:
    """The folder, or the first above it that is there."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.is_dir())
