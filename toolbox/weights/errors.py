"""The one error of this package."""

from __future__ import annotations

_LONGEST = 1500


class WeightsError(ValueError):
    """A file that is not read or not written; one line: which file, what is wrong with it, what to do."""

    def __init__(self, message: str) -> None:
        line = " ".join(
            "".join(c if c.isprintable() else " " for c in message).split()
        )  # a file's own words may hold anything
        super().__init__(line if len(line) <= _LONGEST else f"{line[:_LONGEST]}...")


def reason(error: BaseException) -> str:
    """What a library says of a bad file, in one sentence."""
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
