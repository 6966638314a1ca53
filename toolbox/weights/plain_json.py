"""JSON from outside as plain values: utf-8, finite numbers, nested no deeper than anyone writes it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolbox.weights.errors import WeightsError, short
from toolbox.weights.limits import DEEPEST, LONGEST_CARD, MOST_DIGITS


def read_json(path: str | Path, constant: Callable[[str], Any] = str) -> Any:
    """What a file holds (see :func:`parse_json`).

    Raises:
        WeightsError: for what it is not, in words, without the path.
        OSError: for a file that cannot be opened.
    """
    with open(path, "rb") as file:
        raw = file.read(LONGEST_CARD + 1)
    if len(raw) > LONGEST_CARD:
        raise WeightsError(f"it is larger than {LONGEST_CARD:,} bytes")
    try:
        return parse_json(raw.decode("utf-8"), constant)
    except UnicodeDecodeError as error:
        raise WeightsError(f"it is not in utf-8 (at byte {error.start:,})") from error


def parse_json(text: str, constant: Callable[[str], Any] = str) -> Any:
    """A JSON text as plain values.

    Args:
        text: the JSON.
        constant: makes the values of NaN and Infinity; default texts, as they are in a card that we write.

    Raises:
        WeightsError: for a text that is no JSON, nests deeper than 64, or holds numbers that no number type
            holds.
    """
    try:
        value = json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=constant)
    except RecursionError as error:
        raise WeightsError(f"it nests deeper than {DEEPEST}") from error
    except json.JSONDecodeError as error:
        raise WeightsError(f"it is no JSON ({error.msg}, line {error.lineno})") from error
    _check_depth(value, 0)
    return value


def _whole(text: str) -> int:
    if len(text) > MOST_DIGITS:
        raise WeightsError(f"it holds a number of {len(text):,} digits ({short(text, 20)})")
    return int(text)


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise WeightsError(f"it holds a number that is too large ({short(text, 20)})")
    return value


def _check_depth(value: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise WeightsError(f"it nests deeper than {DEEPEST}")
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            if isinstance(item, (dict, list)):
                _check_depth(item, depth + 1)
