"""TensorBoard, Weights & Biases and other back ends of mmengine: losses, metrics and grids of a run."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mmengine.hooks import Hook
from PIL import Image

from toolbox import ranks
from toolbox.runs.files import write_text
from toolbox.training.evaluation.records import of_training, read_records

if TYPE_CHECKING:
    from mmengine import Config
    from mmengine.visualization import Visualizer

_WANDB = "WandbVisBackend"


class Tracking(Hook):
    """Feeds the back ends of the config's ``visualizer``; a run that names some has this hook by itself.

    Each reading of the losses by the names of ``scalars.jsonl``; each metric by its name, with the iteration;
    each grid of ``samples/``. What they write lies in ``vis_data`` of the run's folder, and a run that is
    resumed goes on there.
    """

    priority = "VERY_LOW"  # after the hooks that measure and draw

    def __init__(self) -> None:
        self.visualizer: Visualizer | None = None
        self._seen = 0  # records of metrics.jsonl
        self._size = 0  # of that file, in bytes
        self._grid = 0  # iteration of the newest grid

    def before_train(self, runner: Any) -> None:
        """Open the back ends; on the first process only."""
        folder = Path(runner.work_dir)
        self.visualizer = open_visualizer(runner.cfg, folder) if ranks.is_main() else None
        self._seen = len(read_records(folder / "metrics.jsonl"))
        if self.visualizer is not None:
            self.visualizer.add_config(runner.cfg)

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        """What is new since the last iteration."""
        if self.visualizer is None:
            return
        if outputs:
            losses = {name: float(value) for name, value in outputs.items()}
            add_scalars(self.visualizer, losses, batch_idx + 1)
        self._add_metrics(Path(runner.work_dir) / "metrics.jsonl")
        self._add_grid(Path(runner.work_dir), batch_idx + 1)

    def after_train(self, runner: Any) -> None:
        """The last grid; then close the files."""
        if self.visualizer is not None:
            self._add_grid(Path(runner.work_dir), runner.iter)
            self.visualizer.close()

    def _add_metrics(self, file: Path) -> None:
        size = file.stat().st_size if file.is_file() else 0
        if size == self._size:
            return
        self._size = size
        records = read_records(file)
        add_records(self.visualizer, records[self._seen :])
        self._seen = len(records)

    def _add_grid(self, folder: Path, iteration: int) -> None:
        file = folder / "samples" / f"iter_{iteration:07d}.png"
        if iteration == self._grid or self.visualizer is None or not file.is_file():
            return
        self._grid = iteration
        with Image.open(file) as picture:
            image = np.asarray(picture.convert("RGB"))
        self.visualizer.add_image("samples", image, iteration)


def open_visualizer(config: Config, folder: Path) -> Visualizer | None:
    """mmengine's visualizer with the back ends that a config names; None where it names none.

    Args:
        config: of the run or stage.
        folder: of it.
    """
    from mmengine.registry import VISUALIZERS

    settings = config.to_dict().get("visualizer") or {}
    if not settings.get("vis_backends"):
        return None
    # mmengine keeps its visualizers by name for the life of the process
    name = f"tracking-{folder.name}-{os.getpid()}-{time.monotonic_ns()}"
    given = {"type": "Visualizer", "save_dir": str(folder), **settings, "name": name}
    given["vis_backends"] = [_with_identity(backend, folder) for backend in given["vis_backends"]]
    return VISUALIZERS.build(given)


def track_measured(config: Config, folder: Path) -> None:
    """Feed the metrics that were measured at the end of a run to the back ends of its config."""
    visualizer = open_visualizer(config, folder) if ranks.is_main() else None
    if visualizer is not None:
        records = [r for r in read_records(folder / "metrics.jsonl") if not of_training(r)]
        newest = records[-1].get("iteration") if records else None  # the others are of earlier starts
        add_records(visualizer, [record for record in records if record.get("iteration") == newest])
        visualizer.close()


def add_records(visualizer: Any, records: Iterable[Mapping[str, Any]]) -> None:
    """Metrics by name, each with the iteration of its weights."""
    for record in records:
        name = str(record["metric"])
        found = {f"{name}.{part}" if part else name: value for part, value in record["values"].items()}
        add_scalars(visualizer, found, int(record.get("iteration", 0)))


def add_scalars(visualizer: Any, scalars: Mapping[str, float], iteration: int) -> None:
    """Numbers by name. W&B's back end forgets the step: there it is a number beside the others."""
    for name, backend in visualizer._vis_backends.items():
        beside = {"iteration": iteration} if _WANDB in (name, type(backend).__name__) else {}
        backend.add_scalars({**scalars, **beside}, step=iteration)


def _with_identity(backend: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A back end's config; W&B's has an id that a resumed run has too, so that it is one run there."""
    if backend.get("type") != _WANDB:
        return dict(backend)
    file = folder / "vis_data" / "wandb_id"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(uuid.uuid4().hex[:12], file)
    own = dict(id=file.read_text().strip(), resume="allow", name=folder.name, project="toolbox")
    return {**backend, "init_kwargs": {**own, **(backend.get("init_kwargs") or {})}}
