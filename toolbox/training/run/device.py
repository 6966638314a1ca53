"""Where a run computes: the config's ``device``, or the GPU where there is one."""

from __future__ import annotations

import torch

from toolbox import ranks
from toolbox.config import ConfigError


def check_device(name: str | None) -> None:
    """Raise ConfigError for a device that cannot be used here; None = the GPU where there is one.

    In a run of several processes each has the GPU of its number: there a device is named without one.
    """
    if name is None:
        return
    try:
        torch.empty(0, device=name)
        numbered = torch.device(name).index is not None
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ConfigError(f"device={name!r} cannot be used here: {reason}; cpu always can") from error
    if numbered and ranks.world() > 1:
        raise ConfigError(
            f"device={name!r}: each of {ranks.world()} processes has a GPU of its own; say cuda, or cpu"
        )
