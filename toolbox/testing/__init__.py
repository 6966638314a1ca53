"""Conformance checks: what a component must do beyond having the right methods.

    from toolbox.testing import check_generator

    def test_my_generator_keeps_the_contract():
        check_generator(MyGenerator(channels=8))

A check returns nothing; it raises AssertionError naming what is broken. The toolbox's own components pass the
same ones. Nothing heavy is imported until a check is used.

``use_plugin(folder)`` lets the tests of a plugin find it in its folder, installed or not.
"""

from __future__ import annotations

import importlib
from typing import Any

from toolbox.source_tree import use_plugin as use_plugin

_WHERE = {
    "check_generator": "generators",
    "check_discriminator": "discriminators",
    "check_prompt_learner": "prompt_learners",
    "check_clusterer": "clusterers",
    "check_metric": "metrics",
    "check_objective": "objectives",
    "FakeTurn": "objectives",
    "small_networks": "objectives",
    "check_conditioner": "conditioners",
    "check_augment": "images",
    "check_choice": "choices",
    "check_invertible": "inversions",
    "check_extractor": "images",
    "check_segmenter": "segmenters",
    "check_plugin": "plugins",
    "check_ranks": "ranks",
    "run_ranks": "processes",
    "random_sample": "common",
    "random_texts": "texts",
    "text_sample": "texts",
    "text_networks": "texts",
}

__all__ = sorted([*_WHERE, "use_plugin"])


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'toolbox.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f"toolbox.testing.{_WHERE[name]}"), name)
