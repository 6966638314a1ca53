"""One segmenter: trained on its source's masks, clusters matched, measured on real and generated images."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import toolbox
from toolbox.config import kept_file
from toolbox.data.base import ImageSet
from toolbox.data.drawn import DrawnPortraits
from toolbox.interfaces import Segmenter
from toolbox_klish.ufgs.matching import PROTOCOLS, match, relabelled, scores_of, tables_of
from toolbox_klish.ufgs.settings import read_config
from toolbox_klish.ufgs.table import sources
from toolbox_klish.ufgs.table.plan import Budget, Cell

CONFIG = "klish/ufgs_embedded"
_SOFT = [dict(type="BlurAndNoise", blur=0.7, noise=8.0)]


def measured(
    cell: Cell, budget: Budget, pairs: Path, tests: Mapping[str, ImageSet], folder: Path
) -> dict[str, Any]:
    """Scores of a cell's segmenter.

    Args:
        cell: which.
        budget: of the table.
        pairs: npz of the seed's generated images (:func:`toolbox_klish.ufgs.table.sources.keep`).
        tests: 'validation', 'real' and 'generated' images with labels.
        folder: where it is trained.

    Returns:
        {'real', 'generated': {'paper', 'official', 'hindsight': scores}} ('labels' alone where parts are not
        clusters), and the time.
    """
    start = time.process_time()
    segmenter = trained(cell, budget, pairs, tests["real"].part_names, folder)
    tables = {name: tables_of(segmenter, data) for name, data in tests.items()}
    record: dict[str, Any] = {}
    if cell.matched:
        labels = {name: match(tables["validation"], name).assignment for name in PROTOCOLS}
        for name in ("real", "generated"):
            best = match(tables[name], "paper").assignment
            chosen = {**labels, "hindsight": best}
            record[name] = {key: scores_of(relabelled(tables[name], own)) for key, own in chosen.items()}
        record["assignment"] = {name: own.tolist() for name, own in labels.items()}
    else:
        for name in ("real", "generated"):
            record[name] = {"labels": scores_of(tables[name])}
    record["seconds"] = round(time.process_time() - start, 1)
    return record


def trained(cell: Cell, budget: Budget, pairs: Path, part_names: Sequence[str], folder: Path) -> Segmenter:
    """The segmenter of a cell, on the CPU, in eval mode; a training that was broken off goes on."""
    from mmengine import Config

    from toolbox.loading import load_game
    from toolbox.pipeline import train

    values = read_config(CONFIG).segmenter.to_dict()
    dataset = values["train_dataloader"]["dataset"]
    size = values["model"]["networks"]["segmenter"]["image_size"]
    dataset["source"] = _source(cell, budget, pairs, part_names, folder, size)
    if cell.soft:
        dataset["transforms"] = [*dataset["transforms"], *_SOFT]
    values["train_dataloader"]["batch_size"] = budget.batch_size
    values["model"]["networks"]["segmenter"]["channels"] = budget.channels
    values["param_scheduler"][0]["milestones"] = [budget.iterations // 2]
    values |= dict(seed=cell.seed, device="cpu", default_scope="toolbox")
    values["train_cfg"] = dict(max_iters=budget.iterations)
    work = folder / "run"
    with (folder / "terminal.txt").open("a", encoding="utf-8") as log, contextlib.redirect_stdout(log):
        config = Config(values, format_python_code=False)
        train(config, work_dir=work, resume=kept_file(work) is not None, report=False)
        game: Any = load_game(work)
    shutil.rmtree(folder / "pairs", ignore_errors=True)  # they are in the seed's file
    segmenter: Segmenter = game.network("segmenter", averaged=True)
    return segmenter.eval()


def _source(
    cell: Cell, budget: Budget, pairs: Path, part_names: Sequence[str], folder: Path, size: int
) -> dict[str, Any]:
    """The training data of a cell: images and the masks of its source, of all sources in one form."""
    root = folder / "pairs"
    if not (folder / "run" / "done.json").is_file():
        sources.write_folder(root, *_images_and_masks(cell, budget, pairs))
    clusters = [f"cluster {i}" for i in range(cell.clusters(budget.clusters))]
    names = clusters if cell.matched else list(part_names)
    return dict(type="MaskFolder", root=str(root.absolute()), part_names=names, image_size=size, cache=True)


def _images_and_masks(cell: Cell, budget: Budget, pairs: Path) -> tuple[Any, Any]:
    if cell.source == "supervised":
        data = DrawnPortraits(split="train", images=budget.pairs)
        rows = range(budget.pairs)
        return np.stack([data.image(i) for i in rows]), np.stack([data.mask(i) for i in rows])
    images, masks = sources.kept(pairs)
    return images, masks[mask_name(cell, budget)]


def mask_name(cell: Cell, budget: Budget) -> str:
    """The name of a cell's masks in the seed's file."""
    return f"{cell.source}@{cell.clusters(budget.clusters)}" if cell.matched else cell.source


def real_tests(budget: Budget, seed: int) -> dict[str, ImageSet]:
    """Validation images of a seed, none of those that the supervised row is trained on; test images."""
    first = budget.pairs + budget.validation * seed
    train: ImageSet = toolbox.build(
        dict(type="DrawnPortraits", split="train", images=first + budget.validation), "dataset"
    )
    real: ImageSet = toolbox.build(dict(type="DrawnPortraits", split="test", images=budget.real), "dataset")
    rows = range(first, first + budget.validation)
    images = np.stack([train.image(i) for i in rows])
    masks = np.stack([train.mask(i) for i in rows])
    return {"validation": sources.GeneratedImages(images, masks, train.part_names), "real": real}
