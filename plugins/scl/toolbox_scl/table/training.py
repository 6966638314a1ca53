"""The config of every cell, from the plugin's own configs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolbox.config import load_config
from toolbox_scl.table.plan import CANDIDATES, Budget, Cell, encoders, heads

_AT_THE_END = 10**9  # iterations between tests: the last one is tested anyway


def wordings() -> dict[str, Any]:
    """The training data: captioned emoji, some wordings of which are kept for judging."""
    found: dict[str, Any] = load_config("toolbox/damsm_emoji").train_dataloader.dataset.source.to_dict()
    return found


def config_of(cell: Cell, budget: Budget, out: Path) -> Any:
    """What trains a cell.

    Args:
        cell: which.
        budget: of all rows.
        out: folder of the tables, where the cells that it needs lie.
    """
    config = {"damsm": _damsm, "heads": _heads}.get(cell.model, _gan)(cell, out)
    config.seed = cell.seed
    config.threads = 1
    config.train_cfg.max_iters = budget.pretraining if cell.pretrains else budget.iterations
    config.train_dataloader.batch_size = budget.pretraining_batch if cell.pretrains else budget.batch
    config.train_dataloader.dataset.seed = cell.seed
    config.train_dataloader.dataset.source = wordings()
    config.hooks.samples = None
    config.hooks.progress = None
    if not cell.pretrains:
        for player in config.optim_wrapper.values():
            player.optimizer.lr = player.optimizer.lr * budget.rate
    return config


def _damsm(cell: Cell, out: Path) -> Any:
    """Pre-training as the plugin's configs do it, in a run of its own."""
    config, paired = load_config("toolbox/damsm_emoji", quick=True), load_config("scl/scl_attngan_emoji")
    config.train_dataloader.dataset = dict(paired.train_dataloader.dataset, sizes=None)
    words = dict(vocabulary=wordings(), source=dict(wordings(), part="unseen"))
    config.hooks.retrieval.update(interval=_AT_THE_END, candidates=CANDIDATES)
    for name, source in words.items():
        config.hooks.retrieval.data[name] = source
    stage = paired.before.damsm.model
    config.model.branches = list(stage.branches)
    config.model.objectives.labels = dict(stage.objectives.labels, label_loss=cell.pretraining)
    if cell.pretraining == "ce":
        config.model.networks.classifiers = _classifiers(code_dim=64)
        config.model.players.encoders = ["text_encoder", "image_encoder", "classifiers"]
        config.model.objectives.labels.classifier = "classifiers"
    return config


def _heads(cell: Cell, out: Path) -> Any:
    """Linear classifiers of the frozen CLIP's codes, on real images and captions."""
    config, paired = _damsm(cell, out), load_config("scl/scl_galip_emoji")
    config.hooks.retrieval = None
    config.train_dataloader.dataset = dict(paired.train_dataloader.dataset)
    config.model.networks = dict(clip=paired.model.networks.clip, classifiers=_classifiers(code_dim=128))
    config.model.players.encoders = ["clip", "classifiers"]
    config.optim_wrapper.encoders.clip_grad = dict(max_norm=0.25)
    labels = dict(
        type="LabelContrast", label_loss="ce", classifier="classifiers", teaches="clip", encoder="clip"
    )
    config.model.objectives = dict(labels=dict(labels, text_encoder="clip"))
    return config


def _gan(cell: Cell, out: Path) -> Any:
    """Encoders come from their own runs, in place of a stage before."""
    config = load_config(f"scl/scl_{cell.model}_emoji", quick=True)
    config.pop("before", None)
    config.stages = []
    networks, labels = config.model.networks, config.model.objectives.labels
    lender = (heads if cell.model == "galip" else lambda seed: encoders(cell.pretraining, seed))(cell.seed)
    weights = str(lender.folder(out).absolute())
    for name in ("text_encoder", "image_encoder"):
        if name in networks:
            networks[name].weights = weights
    labels.label_loss = cell.loss
    if cell.loss == "ce":
        width = 128 if cell.model == "galip" else 64
        networks.classifiers = dict(_classifiers(code_dim=width), weights=weights)
        labels.classifier = "classifiers"
    config.pop("evaluation", None)  # judged by what no run is trained with
    return config


def _classifiers(code_dim: int) -> dict[str, Any]:
    return dict(type="LabelClassifiers", classes="data:n_classes", code_dim=code_dim)
