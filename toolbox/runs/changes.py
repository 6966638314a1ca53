"""A run's config compared with the one it was begun with: it is continued so, or knowingly changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from toolbox.config import ConfigError

#: Keys that may change between two starts of a run: how long, where, what is watched, not what is computed.
FREE = (
    "title",
    "work_dir",
    "hooks",
    "default_hooks",
    "evaluation",
    "log_processor",
    "log_level",
    "visualizer",
    "env_cfg",
    "plugins",
    "threads",
    "device",
    "default_scope",
    "stages",
    "before",
    "train_cfg.max_iters",
    "model.log_every",
    "train_dataloader.num_workers",
    "train_dataloader.persistent_workers",
    "train_dataloader.pin_memory",
    "train_dataloader.prefetch_factor",
    "train_dataloader.multiprocessing_context",
)
_ABSENT = "(not there)"
Changes = dict[str, tuple[Any, Any]]  # {dotted key: (old, new)}


def check_kept_command(folder: Path, kept: Any, command: str) -> None:
    """Raise ConfigError if the folder is that of another command's run, which would be written over.

    Args:
        folder: the run's.
        kept: its config, of :func:`toolbox.runs.kept.kept_config`.
        command: who would write into it.
    """
    own = "train" if kept is None else kept.get("command", "train")
    if kept is not None and own != command:
        raise ConfigError(f"{folder} holds a run of `toolbox {own}`: name another folder with --work-dir")


def differences(old: Any, new: Any, key: str = "") -> Iterator[tuple[str, tuple[Any, Any]]]:
    """(dotted key, (old, new)) of all that differs, without FREE keys; a tuple is the same as a list."""
    if key in FREE:
        return
    both_lists = isinstance(old, (list, tuple)) and isinstance(new, (list, tuple))
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for name in sorted({*old, *new}, key=str):
            inner = f"{key}.{name}" if key else str(name)
            yield from differences(old.get(name, _ABSENT), new.get(name, _ABSENT), inner)
    elif both_lists and len(old) == len(new):
        for number, pair in enumerate(zip(old, new, strict=True)):
            yield from differences(*pair, f"{key}.{number}")
    elif old != new and not (_is_nan(old) and _is_nan(new)):
        yield key, (old, new)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def refuse(changes: Changes, folder: Path) -> None:
    """Raise ConfigError that lists the changes, and says how to allow them."""
    if changes:
        raise ConfigError(
            f"{folder} holds a run of another config: {in_words(changes)}. Give it the config it was begun "
            "with, name another folder with --work-dir, or allow this with --allow-changes"
        )


def in_words(changes: Changes) -> str:
    """``key: old -> new; ...``"""
    return "; ".join(f"{key}: {_short(old)} -> {_short(new)}" for key, (old, new) in changes.items())


def _short(value: Any) -> str:
    text = value if value == _ABSENT else repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
