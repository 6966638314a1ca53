"""What is trained: each method on each target, and what of the config that changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = "drawing"
#: {name in the table: (label in words, style of DrawnPortraits)}
TARGETS = {
    "watercolour": ("watercolour", "watercolour"),
    "pencil": ("pencil sketch", "pencil sketch"),
    "neon": ("neon sign", "neon"),
    "pixel": ("pixel art", "pixel art"),
    "comic": ("comic", "comic"),
    "grey": ("black and white photo", "black and white"),
}
METHODS = {
    "nada": "StyleGAN-NADA: one direction, 79 templates",
    "sentence": "one direction, one sentence",
    "shared": "one learnt prompt",
    "random": "image-specific prompts, never trained",
    "ipl": "IPL: image-specific prompts",
    "ipl-prefix": "IPL, residual of the authors' second stage",
    "ipl-paper": "IPL, no residual, the paper's sums",
}
LAMBDAS = ("0.1", "1", "5", "10", "50")


@dataclass(frozen=True)
class Budget:
    """Equal for all rows: iterations of the generator and of the prompts, images that are judged."""

    iterations: int = 300
    prompting: int = 300
    n_fake: int = 1000


@dataclass(frozen=True)
class Cell:
    """A run.

    Attributes:
        target: one of TARGETS.
        method: one of METHODS, or 'ipl@10': IPL with that lambda.
        seed: of the run.
    """

    target: str
    method: str
    seed: int

    def folder(self, out: Path) -> Path:
        """Where it is trained."""
        return out / self.target / self.method / f"seed{self.seed}"


def cells(targets: Sequence[str], methods: Sequence[str], seeds: Sequence[int]) -> list[Cell]:
    """All of them, a whole table of the first seed first."""
    return [Cell(target, method, seed) for seed in seeds for target in targets for method in methods]


def options_of(cell: Cell, iterations: int, prompting: int, n_fake: int) -> tuple[str, dict[str, Any]]:
    """The config's name, and the overrides by dotted key.

    Args:
        cell: which.
        iterations: of the generator.
        prompting: of the prompts.
        n_fake: images that are judged.
    """
    label, style = TARGETS[cell.target]
    labels = [SOURCE, label]
    method, _, weight = cell.method.partition("@")
    options: dict[str, Any] = {
        "seed": cell.seed,
        "train_cfg.max_iters": iterations,
        "evaluation.n_fake": n_fake,
        "evaluation.real.style": style,
        "evaluation.metrics.judged.answer": style,
    }
    if method in ("nada", "sentence"):
        options |= {
            "model.objectives.direction.labels": labels,
            "model.objectives.direction.direction": "fixed" if method == "nada" else "sentence",
            "model.phases.0.moves.label": label,
        }
        return "ipl/nada_portraits", options
    options |= {"model.networks.mapper.names": labels, **_CHANGES.get(method, {})}
    if method == "random":
        return "ipl/ipl_portraits", options
    options |= {
        f"{_STAGE}.networks.mapper.names": labels,
        "before.prompts.train_cfg.max_iters": prompting,
    }
    if method == "shared":
        _share(options, labels)
    if weight:
        options[f"{_STAGE}.objectives.domain.weight"] = float(weight)
    return "ipl/ipl_portraits", options


def _share(options: dict[str, Any], labels: list[str]) -> None:
    """One context for all images in place of the mapper, in both stages."""
    for model, more in ((_STAGE, {}), ("model", {"weights": {"stage": "prompts"}})):
        del options[f"{model}.networks.mapper.names"]
        shared = dict(type="SharedPrompts", uses=dict(clip="clip"), names=labels)
        options[f"{model}.networks.mapper"] = {**shared, **more}


_STAGE = "before.prompts.model"
_CHANGES: Mapping[str, Mapping[str, Any]] = {
    "ipl-prefix": {"model.objectives.direction.residual": "prefix"},
    "ipl-paper": {
        f"{_STAGE}.objectives.contrast.form": "cosine_sum",
        f"{_STAGE}.objectives.contrast.residual": "none",
        f"{_STAGE}.objectives.domain.reduction": "sum",
        f"{_STAGE}.objectives.domain.residual": "none",
        "model.objectives.direction.residual": "none",
    },
    "random": {"stages": [], "before": None, "model.networks.mapper.weights": None},
}
