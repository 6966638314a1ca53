"""The parts of ``make gpu`` as tests: every case is fine on this GPU. ``pytest -m gpu tests/gpu``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch

from tests.gpu import components, games, klish_sizes, machine, profiled
from tests.gpu.cases import Case, play

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that torch can use"),
]
KLISH_SECONDS = 60.0
PARTS: dict[str, Callable[[], Iterable[Case]]] = {
    "machine": lambda: machine.cases("cuda"),
    "checks": lambda: components.cases("cuda"),
    "games": lambda: games.cases("cuda"),
    "profile": lambda: profiled.cases("cuda"),
    "klish": lambda: klish_sizes.cases("cuda", deadline=time.monotonic() + KLISH_SECONDS),
}


@pytest.mark.parametrize("name", PARTS)
def test_every_case_is_fine(name: str) -> None:
    records: list[dict[str, Any]] = []
    play(PARTS[name](), records.append, float("inf"))
    assert [record for record in records if record["state"] in ("wrong", "failed")] == []
    assert any(record["state"] == "fine" for record in records)
