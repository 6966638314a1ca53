"""The whole of a run: train, measure, draw, report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolbox import ranks

if TYPE_CHECKING:
    from mmengine import Config

    from toolbox.runs.stopping import StopRequest
    from toolbox.training.run.compare import Comparison


def train(
    config: str | Path | Config,
    work_dir: str | Path | None = None,
    quick: bool = False,
    resume: bool = False,
    options: Mapping[str, Any] | None = None,
    evaluate: bool = True,
    report: bool = True,
    plugins: Sequence[str | Path] = (),
    allow_changes: bool = False,
    data: str | Path | None = None,
    start: str | None = None,
    device: str | None = None,
    log: Sequence[str] = (),
) -> Path:
    """Train what a config describes, all its stages, then measure it and write the report.

    In a run of several processes all of them call it; the first one draws and writes the report, the others
    return.

    Args:
        config: a config's name or path, or a loaded one.
        work_dir: the run's folder; default ``runs/<config>`` (``runs/<config>-quick``).
        quick: the config's small version.
        resume: continue from the newest checkpoint of the folder; stages that are done are skipped.
        options: overrides by dotted key.
        evaluate, report: whether to do these at the end.
        plugins: plugin files; the run's config keeps them, so that whoever reads the folder need not name
            them again.
        allow_changes: with ``resume``: also where config or data have changed in what shapes the run.
        data, start, device, log: as of :func:`read_config`.

    Returns:
        The run's folder.

    Raises:
        ConfigError, PlanError, BuildError, CheckpointError: for what cannot be used, before any time is
            spent.
        WriteError, CheckpointError: when the disk is full.
        LockedError: when another run is at work in the folder.
        Stopped: a KeyboardInterrupt; Ctrl-C or SIGTERM ended the run, ``resume`` goes on with it.
    """
    from toolbox.runs.files import explain_full_disk, sweep
    from toolbox.runs.locking import locked
    from toolbox.runs.stopping import StopRequest
    from toolbox.training.run.play import play

    config = read_config(config, quick, options, plugins, data, start, device, log, work_dir, resume)
    folder = Path(work_dir or config.get("work_dir") or "runs/unnamed")
    config.work_dir = str(folder)
    stop_request = StopRequest()
    with stop_request.watched(), explain_full_disk(folder), locked(folder):
        ranks.on_main(lambda: sweep(folder))
        play(config, resume, allow_changes, stop_request, measured=evaluate)
        drawn = report and ranks.is_main()
        try:
            if evaluate and config.get("evaluation"):
                _measure_once(folder, config, resume, stop_request)
        except Exception:
            if drawn:
                draw(folder)  # of a run that is whole but for its numbers
            raise
        if drawn:
            stop_request.check()
            draw(folder)
    return folder


def _measure_once(folder: Path, config: Config, resume: bool, stop_request: StopRequest) -> None:
    """Measure a finished run, unless it was resumed and its newest checkpoint has been measured."""
    from toolbox.training.hooks.tracking import track_measured

    if not (resume and ranks.on_main(lambda: is_measured(folder))):
        stop_request.check()
        measure(folder, config.get("device"))
        track_measured(config, folder)


def read_config(
    config: str | Path | Config,
    quick: bool = False,
    options: Mapping[str, Any] | None = None,
    plugins: Sequence[str | Path] = (),
    data: str | Path | None = None,
    start: str | None = None,
    device: str | None = None,
    log: Sequence[str] = (),
    work_dir: str | Path | None = None,
    resume: bool = False,
) -> Config:
    """The config of a run, with what is said of the whole run beside it.

    Args:
        config: its name or path, or a loaded one.
        quick, options, plugins: of :func:`toolbox.load_config`.
        data: folder or zip to train and measure on (:func:`toolbox.training.run.given.use_data`).
        start: file, run or address that the generator starts from, its architecture too
            (:func:`toolbox.training.run.given.start_from`).
        device: 'cpu', 'cuda', 'cuda:1'; None = the config's, or the GPU where there is one.
        log: 'tensorboard', 'wandb': beside the back ends of the config's ``visualizer``.
        work_dir, resume: a run that is continued keeps the plugins of its folder.

    Raises:
        ConfigError, DataError, CheckpointError, WeightsError: for what cannot be used.
    """
    from toolbox.training.run.device import check_device
    from toolbox.training.run.given import add_logs, check_start, start_from, use_data

    if isinstance(config, (str, Path)):
        config = _read_by_name(config, work_dir, quick, resume, options, plugins)
    if start is not None:
        start_from(config, start, options)
    if data is not None:
        use_data(config, data)
    if start is not None:
        check_start(config, start)
    if device is not None:
        config.device = device
    add_logs(config, log)
    check_device(config.get("device"))
    return config


def _read_by_name(
    name: str | Path,
    work_dir: str | Path | None,
    quick: bool,
    resume: bool,
    options: Mapping[str, Any] | None,
    plugins: Sequence[str | Path],
) -> Config:
    """The config by name, with the plugins of the run that it continues."""
    from toolbox.config import load_config
    from toolbox.runs.kept import kept_config
    from toolbox.runs.terminal import say

    stem = Path(str(name)).stem
    usual = f"runs/{stem}-quick" if quick else f"runs/{stem}"
    kept = kept_config(Path(work_dir or usual)) if resume else None
    kept_plugins = () if kept is None else kept.get("plugins") or ()
    config = load_config(name, quick, options, [*plugins, *kept_plugins], tell=say)
    config.setdefault("work_dir", usual)
    return config


def reproduce(
    run: str | Path, work_dir: str | Path | None = None, allow_data: bool = False, evaluate: bool = True
) -> Comparison:
    """Play a finished run again from what its folder keeps, and compare.

    Args:
        run: the run's folder.
        work_dir: where the second run is kept; default ``<run>-again``.
        allow_data: go on with other training data.
        evaluate: measure and compare metrics too, where the run has been measured.

    Returns:
        What differs. With ``deterministic``, one process, the same versions and a CPU nothing should.

    Raises:
        ConfigError: for a folder that holds no finished run, or other data than it was made with.
    """
    from toolbox.config import load_config
    from toolbox.runs.environment import read_record
    from toolbox.runs.kept import kept_path
    from toolbox.training.run.compare import compare_runs, metrics_of
    from toolbox.training.run.reproduce import check_reproducible, stage_folders

    folder = Path(run)
    config = load_config(kept_path(folder))
    check_reproducible(folder, config, read_record(folder), allow_data)
    with_metrics = evaluate and bool(metrics_of(folder))
    again = train(config, work_dir or f"{folder}-again", evaluate=with_metrics, report=False)
    _kept(again, "done.json")
    return compare_runs(folder, again, stage_folders(config))


def _kept(folder: Path, name: str) -> Path:
    from toolbox.config import ConfigError

    if (folder / name).is_file():
        return folder / name
    hint = "is it a run's folder?"
    if name == "done.json":
        hint = "the run is not finished, continue it with --resume"
    raise ConfigError(f"{folder} has no {name}: {hint}")


def is_measured(folder: Path) -> bool:
    """Whether the newest checkpoint's metrics are in ``metrics.jsonl`` already."""
    from toolbox.training.checkpoints import latest_checkpoint
    from toolbox.training.evaluation.records import read_records

    newest = latest_checkpoint(folder)
    if newest is None:
        return False
    records = read_records(folder / "metrics.jsonl")
    return any(record.get("checkpoint") == newest.name for record in records)


def measure(folder: Path, device: str | None = None) -> dict[str, float]:
    """The config's metrics, printed and kept in ``metrics.jsonl`` (collective); default the GPU."""
    from toolbox.runs.terminal import say
    from toolbox.training.evaluation.measure import table

    say("measuring ...")
    results = evaluate_run(folder, device=device)
    say(table(results))
    return results


def draw(folder: Path) -> Path:
    """Pictures, tables and the report."""
    from toolbox.runs.terminal import say
    from toolbox.training.checkpoints import latest_checkpoint
    from toolbox.visual.pictures import draw_run
    from toolbox.visual.report import write_report

    say("drawing pictures and the report ...")
    if latest_checkpoint(folder) is not None:
        draw_run(folder)
    return write_report(folder)


def evaluate_run(
    path: str | Path, config: Config | None = None, device: str | None = None, **changes: Any
) -> dict[str, float]:
    """Metrics of a run's newest checkpoint, or of a checkpoint file, appended to ``metrics.jsonl`` beside it.

    Args:
        path: a run's folder, a checkpoint in one, or a release.
        config: the config; default the run's own, or what a release's card keeps of it.
        device: default the GPU where there is one.
        **changes: replace entries of the config's ``evaluation``.

    Returns:
        {metric's name with protocol: value}.
    """
    import torch

    from toolbox.loading import config_of, load_game
    from toolbox.training.checkpoints import latest_checkpoint
    from toolbox.training.evaluation.measure import evaluate_game
    from toolbox.training.release import evaluation_of, is_release

    path = Path(path)
    folder = path if path.is_dir() else path.parent
    if config is None and is_release(path):
        evaluation = evaluation_of(path)
    else:
        config = config or config_of(path)
        evaluation = config.get("evaluation") or {}
    game = load_game(path, config).to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    checkpoint = latest_checkpoint(path) if path.is_dir() else path
    settings = {**evaluation, **changes}
    name = "" if checkpoint is None else checkpoint.name
    return evaluate_game(game, settings, folder / "metrics.jsonl", checkpoint=name)
