"""What happens around the iterations: checkpoints, the journal of scalars, the progress bar."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner.checkpoint import CheckpointLoader

from toolbox.training import checkpoints as files
from toolbox.training.networks import fingerprint


def game_of(runner: Any) -> Any:
    """The Game inside a runner, unwrapped."""
    return getattr(runner.model, "module", runner.model)


class Checkpoints(Hook):
    """Saves ``iter_N.pth`` and ``last_checkpoint``, whole; checks that what is loaded fits; keeps the last few.

    The files hold tensors and plain values only, so that ``torch.load(weights_only=True)`` reads them, with all networks
    under ``state_dict``. Networks from outside (a frozen CLIP) are in them as a fingerprint, which is checked at load.

    Args:
        interval: iterations between two checkpoints; one more at the end and on interruption.
        keep: how many of the last to keep; 0 = all.
    """

    priority = "VERY_LOW"

    def __init__(self, interval: int = 1000, keep: int = 2) -> None:
        self.interval, self.keep = int(interval), int(keep)
        self._saved: int | None = None

    def before_run(self, runner: Any) -> None:
        """From here on every checkpoint of this process is read by our safe reader."""
        use_safe_loader()

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Save every ``interval`` iterations."""
        if (batch_idx + 1) % self.interval == 0:
            self.save(runner, batch_idx + 1)

    def after_train(self, runner: Any) -> None:
        """Save at the end, or where the run was interrupted."""
        if self._saved != runner.iter:
            self.save(runner, runner.iter)

    def save(self, runner: Any, iteration: int) -> Path:
        """Write the checkpoint of this iteration, point ``last_checkpoint`` at it, drop the oldest."""
        game, folder = game_of(runner), Path(runner.work_dir)
        path = folder / f"iter_{iteration}.pth"
        contents = dict(
            meta=dict(iter=iteration, epoch=0, seed=game.seed, cfg=runner.cfg.pretty_text, experiment_name=runner.experiment_name,
                      time=time.strftime("%Y-%m-%d %H:%M:%S"), mmengine_version=""),
            state_dict=saved_state(game), frozen=frozen_fingerprints(game), optimizer=runner.optim_wrapper.state_dict(),
            message_hub=dict(log_scalars={}, runtime_info={}, resumed_keys={}))
        if runner.param_schedulers:
            contents["param_schedulers"] = _scheduler_states(runner.param_schedulers)
        files.write_checkpoint(_to_cpu(contents), path)
        files.write_text(path.name, folder / "last_checkpoint")
        self._saved = iteration
        self._drop_old(folder)
        return path

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Refuse what does not fit before mmengine half-loads it with a log message."""
        game = game_of(runner)
        check_frozen(game, checkpoint.get("frozen", {}))
        state = {**frozen_state(game), **checkpoint["state_dict"]}
        files.load_whole(game, state, "the checkpoint")
        checkpoint["state_dict"] = state  # mmengine loads it once more, to no effect

    def _drop_old(self, folder: Path) -> None:
        found = sorted(folder.glob("iter_*.pth"), key=lambda p: int(p.stem.split("_")[1]))
        for path in found[:-self.keep] if self.keep else []:
            path.unlink()


def use_safe_loader() -> None:
    """Make mmengine read local checkpoints with ``weights_only=True`` (its own reader fails on current torch)."""
    CheckpointLoader.register_scheme(prefixes="", loader=load_from_file, force=True)


def load_from_file(filename: str, map_location: Any = None) -> dict[str, Any]:
    """What mmengine calls for a local path (it logs the name of this function from the tenth letter on)."""
    return files.read_checkpoint(filename)


def saved_state(game: Any) -> dict[str, torch.Tensor]:
    """A game's state dict without the networks that come from outside."""
    outside = tuple(f"networks.{name}." for name in game.from_outside)
    return {key: value for key, value in game.state_dict().items() if not key.startswith(outside) or not outside}


def frozen_state(game: Any) -> dict[str, torch.Tensor]:
    """The part of the state dict that :func:`saved_state` leaves out."""
    saved = saved_state(game)
    return {key: value for key, value in game.state_dict().items() if key not in saved}


def frozen_fingerprints(game: Any) -> dict[str, str]:
    """sha256 of every network from outside."""
    return {name: fingerprint(game.networks[name]) for name in sorted(game.from_outside)}


def check_frozen(game: Any, expected: dict[str, str]) -> None:
    """Raise CheckpointError when a frozen network is not the one that the checkpoint was trained with."""
    for name, found in frozen_fingerprints(game).items():
        if name in expected and expected[name] != found:
            raise files.CheckpointError(f"the frozen network {name!r} is not the one this checkpoint was trained with: sha256 "
                                        f"{found[:12]}... here, {expected[name][:12]}... then; use the same weights file")


def _to_cpu(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, dict):
        return {key: _to_cpu(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_to_cpu(item) for item in value]
    return value


def _scheduler_states(schedulers: Any) -> Any:
    if isinstance(schedulers, dict):
        return {name: [s.state_dict() for s in group] for name, group in schedulers.items()}
    return [s.state_dict() for s in schedulers]


class Journal(Hook):
    """Appends the losses to ``scalars.jsonl`` and keeps mmengine's in-memory history short.

    Args:
        keep: entries of history a scalar; longer histories slow each iteration down and swell checkpoints.
    """

    priority = "LOW"

    def __init__(self, keep: int = 1000) -> None:
        self.keep = int(keep)

    def before_train(self, runner: Any) -> None:
        """On resume, drop what was written after the checkpoint."""
        path = Path(runner.work_dir) / "scalars.jsonl"
        if path.is_file():
            lines = [line for line in path.read_text().splitlines() if _iteration_of(line) <= runner.iter]
            files.write_text("".join(f"{line}\n" for line in lines), path)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """One line for each reading of the losses."""
        if not outputs:
            return
        game = game_of(runner)
        record = dict(iteration=batch_idx + 1, kimg=round(int(game.images_seen) / 1000, 3),
                      **{name: round(float(value), 6) for name, value in outputs.items()})
        path = Path(runner.work_dir) / "scalars.jsonl"
        with open(path, "a") as file:
            file.write(json.dumps(record) + "\n")
        self._trim(runner)

    def _trim(self, runner: Any) -> None:
        for buffer in runner.message_hub.log_scalars.values():
            if len(buffer._log_history) > 2 * self.keep:
                buffer._log_history = buffer._log_history[-self.keep:]
                buffer._count_history = buffer._count_history[-self.keep:]


def _iteration_of(line: str) -> int:
    try:
        return int(json.loads(line)["iteration"])
    except (ValueError, KeyError):  # a torn last line of a killed run
        return sys.maxsize


class ProgressBar(Hook):
    """A bar with pace and remaining time, on the first process; one line every ``lines`` seconds where there is no terminal.

    Args:
        lines: seconds between two lines when the output is a file.
    """

    priority = "LOWEST"

    def __init__(self, lines: float = 20.0) -> None:
        self.lines = lines
        self._bar: Any = None
        self._first, self._started = 0, 0.0

    def before_train(self, runner: Any) -> None:
        """Open the bar where the run starts."""
        from tqdm import tqdm

        self._first, self._started = runner.iter, time.monotonic()
        on_terminal = sys.stderr.isatty()
        self._bar = tqdm(total=runner.max_iters, initial=runner.iter, desc=Path(runner.work_dir).name, unit="it",
                         disable=not _is_main(),
                         dynamic_ncols=on_terminal, mininterval=0.5 if on_terminal else self.lines,
                         maxinterval=max(self.lines, 10.0), miniters=None if on_terminal else 1, smoothing=0.1)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """One tick; losses when they were read."""
        if outputs:
            shown = [f"{name} {float(value):.2f}" for name, value in outputs.items()][:4]
            self._bar.set_postfix_str(", ".join(shown), refresh=False)
        self._bar.update(1)
        self._warn_if_slow(runner, batch_idx)

    def _warn_if_slow(self, runner: Any, iteration: int) -> None:
        """On a CPU, a few iterations into a run that will take hours: say how long, and what to do."""
        if iteration != self._first + 4 or game_of(runner).device.type != "cpu":
            return
        pace = (time.monotonic() - self._started) / 5
        hours = pace * (runner.max_iters - iteration) / 3600
        if hours > 1:
            self._bar.write(f"pace on this CPU: {pace:.2f} s an iteration, {hours:,.0f} hours to go; --quick takes minutes")

    def after_train(self, runner: Any) -> None:
        """Close it."""
        self._bar.close()


def _is_main() -> bool:
    from mmengine.dist import is_main_process

    return bool(is_main_process())
