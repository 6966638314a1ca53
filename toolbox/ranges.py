"""Ranges of numbers: what a constructor checks of its arguments.

check_whole(1, subsets=subsets, subset_size=subset_size)
check_in("[0, 1)", decay=decay)
check_whole(1, **given(n_fake=n_fake))  # or None
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any

_WORDS = {
    "(0, inf)": "a number above 0",
    "(0, inf]": "a number above 0, or infinity",
    "[0, inf)": "a number of 0 or more",
    "[0, inf]": "a number of 0 or more, or infinity",
    "(-inf, inf)": "a finite number",
}


def check_in(interval: str, /, **arguments: Any) -> None:
    """Numbers within an interval; NaN lies in none, and neither truth values nor text are numbers.

    Args:
        interval: such as '[0, 1)': a square bracket means that the end belongs to it.
        **arguments: by name.

    Raises:
        ValueError: naming the argument, its value, and the interval.
    """
    low, high = (float(end) for end in interval[1:-1].split(","))
    for name, value in arguments.items():
        fits = isinstance(value, Real) and not isinstance(value, bool)
        fits = fits and (low < value or (interval[0] == "[" and value == low))
        fits = fits and (value < high or (interval[-1] == "]" and value == high))
        if not fits:
            raise ValueError(f"{name}={value!r} must be {_WORDS.get(interval, f'a number in {interval}')}")


def check_positive(**arguments: Any) -> None:
    """Numbers above 0, not infinite (see :func:`check_in`)."""
    check_in("(0, inf)", **arguments)


def check_not_negative(**arguments: Any) -> None:
    """Numbers of 0 or more, not infinite (see :func:`check_in`)."""
    check_in("[0, inf)", **arguments)


def check_probability(**arguments: Any) -> None:
    """Numbers in [0, 1] (see :func:`check_in`)."""
    check_in("[0, 1]", **arguments)


def check_whole(least: int, /, **arguments: Any) -> None:
    """Whole numbers of at least ``least``; 2.0 is none, for it cannot count.

    Raises:
        ValueError: naming the argument, its value, and the least.
    """
    for name, value in arguments.items():
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name}={value!r} must be a whole number of {least} or more")


def check_seed(**arguments: Any) -> None:
    """Seeds: whole numbers from 0 on that fit into 63 bits.

    Raises:
        ValueError: naming the argument, its value, and the range.
    """
    check_whole(0, **arguments)
    for name, value in arguments.items():
        if value >= 2**63:
            raise ValueError(f"{name}={value!r} must be below 2^63")


def given(**arguments: Any) -> dict[str, Any]:
    """The arguments that are not None."""
    return {name: value for name, value in arguments.items() if value is not None}


def numbered(name: str, values: Iterable[Any] | None, /) -> dict[str, Any]:
    """{'name[0]': first value, ...}: the entries of a list, to be checked; none for None."""
    return {f"{name}[{i}]": value for i, value in enumerate(values or ())}
