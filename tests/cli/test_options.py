"""An option that several commands have means one thing in all of them."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator

from toolbox.cli.main import COMMANDS, build_parser


def options() -> Iterator[tuple[str, str, argparse.Action]]:
    for command in [*COMMANDS, "klish"]:
        (subcommands,) = (a for a in build_parser([command])._actions if isinstance(a.choices, dict))
        yield from _of(subcommands.choices[command], command)


def _of(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, str, argparse.Action]]:
    for action in parser._actions:
        if isinstance(action.choices, dict):
            for inner, sub in action.choices.items():
                yield from _of(sub, f"{name} {inner}")
        for option in action.option_strings:
            yield option, name, action


def test_options_of_one_name_take_values_of_one_type() -> None:
    """Left out: ``--out`` and ``--n``, whose values each command reads in its own way."""
    types: dict[str, set[object]] = defaultdict(set)
    for option, _, action in options():
        if option not in ("-h", "--help", "--out", "-o", "--n"):
            types[option].add((action.type, isinstance(action.const, bool)))
    assert {option: found for option, found in types.items() if len(found) > 1} == {}


def test_names_that_meant_two_things_mean_one() -> None:
    """Once: ``klish draw --seed`` (which fit), ``klish table --data`` (features), its ``--rows`` (of AHC)."""
    commands = defaultdict(set)
    for option, name, _ in options():
        commands[option].add(name)
    assert commands["--data"] == {"train", "preset"}
    assert commands["--rows"] == {"klish cost"} and commands["--images"] == {"klish fit", "klish pairs"}
    numbers = {"klish draw", "klish table", "klish pairs", "klish why", "klish segtable"}
    assert commands["--clusters"] == numbers
    first = {"klish fit", "klish table", "klish toy", "klish cost", "klish segtable"}
    assert commands["--first"] == first
    assert commands["--seeds"] == {"sample"} and "klish draw" not in commands["--seed"]
    assert commands["--n"] == {"sample", "test", "fid"}
