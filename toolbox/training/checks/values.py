"""Values of the right type that cannot be used: found before any time is spent, not when they are first
needed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from toolbox.catalog import near_miss
from toolbox.checking import check_call, check_type
from toolbox.config import ConfigError


def check_values(config: Any) -> None:
    """Of one stage: numbers that are too small, files that are not there, what the run's own keys may hold.

    Raises:
        ConfigError: naming the key, its value and what is allowed.
    """
    check_compile(config.get("compile", False), "compile")
    check_compile(config.model.get("compile", False), "model.compile")
    check_at_least(0, config.get("threads", 0), "threads")
    check_at_least(1, config.model.get("log_every", 1), "model.log_every")
    check_at_least(1, config.train_dataloader["batch_size"], "train_dataloader.batch_size")
    check_at_least(0, config.train_dataloader.get("num_workers", 0), "train_dataloader.num_workers")
    if config.get("load_from") and not Path(config.load_from).exists():
        raise ConfigError(f"load_from={config.load_from!r} does not exist")
    if "seed" in config.model:
        raise ConfigError(
            f"model.seed={config.model['seed']!r}: the seed is the whole run's, say seed=... (or --seed)"
        )


def check_at_least(least: int, value: Any, where: str) -> None:
    """A whole number of at least so much.

    Raises:
        ConfigError: for a smaller one, or another type.
    """
    check_type(value, int, where)
    if value < least:
        raise ConfigError(f"{where}={value} must be {least} or more")


def check_compile(option: Any, where: str) -> None:
    """True, False, or arguments of torch.compile.

    Raises:
        ConfigError: for anything else, with the near miss.
    """
    if not isinstance(option, Mapping):
        if not isinstance(option, bool):
            raise ConfigError(
                f"{where}={option!r} must be True, False, or arguments of torch.compile: dict(mode=...)"
            )
        return
    check_call(option, torch.compile, where, filled=("model",))
    backend = option.get("backend")
    if isinstance(backend, str):
        import torch._dynamo as dynamo

        known = dynamo.list_backends(exclude_tags=())
        if backend not in known:
            raise ConfigError(
                f"{where}.backend={backend!r} is not known{near_miss(backend, known)}; known: "
                f"{', '.join(known)}"
            )


def check_is_dict(value: Any, where: str) -> None:
    """A dict, or None where there is nothing.

    Raises:
        ConfigError: for anything else.
    """
    if value is not None and not isinstance(value, Mapping):
        raise ConfigError(f"{where}={value!r} must be a dict, such as dict(type=...)")
