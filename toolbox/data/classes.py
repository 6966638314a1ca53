"""The classes that a config names, compared with those of a data set."""

from __future__ import annotations

from collections.abc import Sequence


def check_classes(configured: Sequence[str], found: Sequence[str], argument: str) -> None:
    """Raise ValueError if a config's class names are not the data set's."""
    if len(configured) != len(found):
        raise ValueError(
            f"{argument} names {len(configured)} classes, the data set has {len(found)}: {', '.join(found)}"
        )
    different = [(a, b) for a, b in zip(configured, found, strict=True) if _plain(a) != _plain(b)]
    if different:
        raise ValueError(
            f"{argument} has {different[0][0]!r} where the data set has {different[0][1]!r}; "
            f"its classes are: {', '.join(found)}"
        )


def _plain(name: str) -> str:
    return name.lower().replace("_", " ").strip()
