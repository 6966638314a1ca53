"""A game's state: what a checkpoint holds of it, and what is only fingerprinted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from toolbox.training import checkpoints as files
from toolbox.weights.fingerprint import fingerprint


def saved_state(game: Any) -> dict[str, torch.Tensor]:
    """A game's state dict without the networks that come from outside."""
    outside = tuple(f"networks.{name}." for name in game.from_outside)
    return {key: value for key, value in game.state_dict().items() if not key.startswith(outside)}


def frozen_state(game: Any) -> dict[str, torch.Tensor]:
    """The part of the state dict that :func:`saved_state` leaves out."""
    saved = saved_state(game)
    return {key: value for key, value in game.state_dict().items() if key not in saved}


def frozen_fingerprints(game: Any) -> dict[str, str]:
    """sha256 of every network from outside."""
    return {name: fingerprint(game.networks[name]) for name in sorted(game.from_outside)}


def check_frozen(game: Any, expected: Mapping[str, str]) -> None:
    """Raise CheckpointError when a frozen network is not the one that the checkpoint was trained with."""
    for name, found in frozen_fingerprints(game).items():
        if name in expected and expected[name] != found:
            file = game.from_outside[name]
            cure = f"{file} has changed, bring it back" if file else "use the same weights file"
            raise files.CheckpointError(
                f"the frozen network {name!r} is not the one this checkpoint was trained with: sha256 "
                f"{found[:12]}... here, {expected[name][:12]}... then; {cure}"
            )
