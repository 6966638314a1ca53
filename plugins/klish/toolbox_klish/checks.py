"""Arguments that make no sense, said in words."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from toolbox.catalog import near_miss


def check_choice(name: str, value: Any, known: Iterable[str]) -> None:
    """One of a few words, or ValueError with the near miss."""
    if value not in known:
        raise ValueError(
            f"{name}={value!r} is unknown{near_miss(str(value), known)}; there are: {', '.join(known)}"
        )


def usable_device(name: str | None) -> str:
    """The device of a name; None = a GPU if there is one.

    Raises:
        ValueError: for one that is not there.
    """
    import torch

    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device={name!r} cannot be used here: {str(error).splitlines()[0]}; cpu always can"
        ) from error
    return name
