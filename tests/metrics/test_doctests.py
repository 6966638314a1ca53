"""The examples in the docstrings run."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["base", "fid", "functional.frechet", "functional.inception_score"])
def test_examples(name: str) -> None:
    module = importlib.import_module(f"toolbox.metrics.{name}")
    failed, tried = doctest.testmod(module)
    assert tried and not failed
