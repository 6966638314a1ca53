"""Embedded data sets that are opened once for many tests: it takes longer than playing an iteration."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def opened_once(*kinds: type) -> Iterator[None]:
    """What the same arguments make of these kinds is made once, and shared."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in kinds:
            patch.setattr(kind, "__init__", remembering(kind.__init__))
        yield


def remembering(make: Callable[..., None]) -> Callable[..., None]:
    """A constructor that makes the same of the same arguments, once."""
    known: dict[str, tuple[dict[str, Any], Any]] = {}  # with the arguments, so that no address is used again

    @functools.wraps(make)
    def remembered(self: Any, *values: Any, **named: Any) -> None:
        key = repr((values, sorted(named.items())))
        if key in known:
            self.__dict__.update(known[key][0])
        else:
            make(self, *values, **named)
            known[key] = dict(self.__dict__), (values, named)

    return remembered
