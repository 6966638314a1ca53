"""``toolbox plugins``: what is installed, what it brings, what is wrong with it."""

from __future__ import annotations

import argparse
import json

from toolbox.cli.common import add_plugin_argument
from toolbox.plugins import PluginHost, host
from toolbox.runs.terminal import complain, show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument(
        "--check",
        action="store_true",
        help="import every component and check its interface; exit 1 on a fault",
    )
    add_plugin_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the table (or JSON); with --check every fault, and exit code 1 if there is one."""
    plugins = host()
    for file in arguments.plugin:
        plugins.load_file(file)
    faults = plugins.check() if arguments.check else []
    if arguments.json:
        records = [record.as_dict() for record in plugins.records]
        show(json.dumps(dict(plugins=records, faults=faults), indent=2))
    else:
        show(_table(plugins))
        for fault in faults:
            complain(f"fault: {fault}")
        if arguments.check and not faults:
            show("every component imports and fits its interface")
    return 1 if faults else 0


def _table(plugins: PluginHost) -> str:
    lines = []
    for record in plugins.records:
        lines.append(f"{record.name} {record.version}  [{record.state}]  {record.title}")
        if record.reason:
            lines.append(f"    {record.reason}")
        if record.paper:
            lines.append(f"    {record.paper}")
        for kind, names in record.components.items():
            lines.append(f"    {kind:<18}{', '.join(names)}")
    return "\n".join(lines)
