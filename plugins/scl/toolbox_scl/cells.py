"""Which text-to-image GANs are trained with which label loss, and how a config says so.

``python -m toolbox_scl.cells`` prints the table of the README.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

MODELS = {"attngan": "AttnGAN", "dmgan": "DM-GAN", "ssagan": "SSA-GAN", "galip": "GALIP"}
LABEL_LOSSES = {
    "none": "none",
    "scl": "SCL",
    "unicl": "UniCL",
    "ce": "cross-entropy",
    "nt_xent": "NT-Xent",
}
VARIABLE = "LABEL_LOSS"  # of the environment, which the configs read


def cell(
    model: str,
    label_loss: str,
    data: str = "cub",
    quick: bool = False,
    options: Mapping[str, Any] | None = None,
) -> Any:
    """The config ``scl/scl_<model>_<data>`` with a label loss.

    Args:
        model: one of ``MODELS``.
        label_loss: one of ``LABEL_LOSSES``.
        data: 'cub', 'coco' or 'emoji'.
        quick, options: see :func:`toolbox.config.load_config`.

    Raises:
        ConfigError: for a config that there is not.
    """
    from toolbox.config import load_config

    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = label_loss
    try:
        return load_config(f"scl/scl_{model}_{data}", quick=quick, options=options)
    finally:
        del os.environ[VARIABLE]
        if before is not None:
            os.environ[VARIABLE] = before


def table() -> str:
    """Label losses down, models across; where each has its term, as the configs for CUB say."""
    head = [
        "label loss",
        "the line of the config",
        *(f"{name} (`scl_{key}_*`)" for key, name in MODELS.items()),
    ]
    rows = [head, ["---"] * len(head)]
    for label_loss, name in LABEL_LOSSES.items():
        places = [_places(cell(model, label_loss)) for model in MODELS]
        rows.append([name, f"`_label_loss = '{label_loss}'`", *places])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _places(config: Any) -> str:
    """Stages whose game has the term, the last of them the GAN."""
    games = [(name, config.before[name].model) for name in config.get("stages", ())]
    games.append(("GAN", config.model))
    return ", ".join(name for name, model in games if "labels" in model.objectives)


if __name__ == "__main__":
    sys.stdout.write(f"{table()}\n")
