"""Stand-ins, announced: the first of several components that can be built here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from toolbox.registry import BuildError, build


def first_available(candidates: Sequence[Mapping[str, Any]]) -> Any:
    """Build the first candidate that can be built (its weights are there); a later one carries a ``notice``.

    Args:
        candidates: configs, best first.

    Raises:
        BuildError: with every candidate's reason, when none can be built.
    """
    reasons: list[str] = []
    for candidate in candidates:
        try:
            found = build(candidate)
        except BuildError as error:
            reasons.append(str(error))
            continue
        if reasons:
            wanted, taken = map(_name, (candidates[0], candidate))
            found.notice = f"{wanted} is not available ({_short(reasons[0])}): using {taken} in its place"
        return found
    raise BuildError("none of the candidates can be built:\n- " + "\n- ".join(reasons))


def _name(candidate: Mapping[str, Any]) -> str:
    return str(candidate.get("type") or candidate.get("weights"))


def _short(reason: str) -> str:
    line = reason.splitlines()[0]
    return line if len(line) <= 160 else line[:157] + "..."
