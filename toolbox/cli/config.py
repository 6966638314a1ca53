"""``toolbox config CONFIG``: what a config resolves to, each value with where it comes from."""

from __future__ import annotations

import argparse
import json

from toolbox.cli.common import add_config_arguments, read_options
from toolbox.runs.terminal import complain, show

_WIDEST = 72  # columns of a value before what is said of it; a longer one pushes it to the right


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    add_config_arguments(parser)
    parser.add_argument("--json", action="store_true", help="as JSON: the config, and {dotted key: origin}")


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each value: its dotted key, as --cfg-options takes it, and its origin."""
    from toolbox.config import resolve_config

    options = read_options(arguments.cfg_options)
    found = resolve_config(arguments.config, arguments.quick, options, arguments.plugin)
    for note in found.notes:
        complain(note)
    if arguments.json:
        show(_as_json(found.values(), {key: words for key, _, words in found.origins()}))
        return 0
    lines = [(f"{key} = {value!r}", words) for key, value, words in found.origins()]
    width = min(max((len(text) for text, _ in lines), default=0), _WIDEST)
    show("\n".join(f"{text:<{width}}  # {words}" for text, words in lines))
    return 0


def _as_json(config: dict[str, object], origins: dict[str, str]) -> str:
    from toolbox.config.data import encoded

    return json.dumps(dict(config=encoded(config), origins=origins), indent=2)
