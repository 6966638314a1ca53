"""The ``toolbox`` command. Each sub-command lives in a file of its own, imported when it is called."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import toolbox
from toolbox.plugins import host
from toolbox.runs.terminal import complain, plain_warnings

#: command -> (module with ``add_arguments(parser)`` and ``run(arguments) -> exit code``, what it does).
COMMANDS: dict[str, tuple[str, str]] = {
    "train": ("toolbox.cli.train", "train what a config describes"),
    "reproduce": ("toolbox.cli.reproduce", "play a run again from its folder and compare"),
    "test": ("toolbox.cli.test", "evaluate a checkpoint"),
    "sample": ("toolbox.cli.sample", "draw from a run, a release or published weights: a grid, or files"),
    "fid": ("toolbox.cli.fid", "compare two folders, zips or samplers by FID or any other metric"),
    "data": ("toolbox.cli.data", "all that is missing or wrong in a data folder of CUB or COCO"),
    "compare": ("toolbox.cli.compare", "runs side by side, on the same latents, with their metrics"),
    "convert": ("toolbox.cli.convert", "read weights from outside safely, write them as safetensors"),
    "release": ("toolbox.cli.release", "export a trained run: generator, conditioner and a card"),
    "explain": ("toolbox.cli.explain", "one iteration of a config in words and formulas"),
    "preset": (
        "toolbox.cli.preset",
        "write a training config with the settings of a published StyleGAN2 run",
    ),
    "config": ("toolbox.cli.config", "what a config resolves to, each value with where it comes from"),
    "configs": ("toolbox.cli.configs", "list the configs"),
    "plugins": ("toolbox.cli.plugins", "list the plugins and what they bring"),
    "new-plugin": ("toolbox.cli.new_plugin", "write a plugin that works"),
    "help": ("toolbox.cli.help", "what a component, command or config key is, and what it takes"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. An error that names its cause is one line, not a traceback."""
    try:
        with plain_warnings():
            return _execute(arguments)
    except KeyboardInterrupt as stop:
        if arguments is None:  # this process ends now: no traceback of a second Ctrl-C on its way out
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        complain("stopped")
        return int(getattr(stop, "exit_code", 130))
    except SystemExit as stop:
        if not isinstance(stop.code, str):
            raise
        complain(stop.code)
        return 1
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("TOOLBOX_TRACEBACK") or not _is_ours(error):
            raise
        complain(f"error: {error}")
        return 1


def _execute(arguments: Sequence[str] | None) -> int:
    parser = build_parser(sys.argv[1:] if arguments is None else list(arguments))
    parsed = parser.parse_args(arguments)
    if not hasattr(parsed, "execute"):
        parser.print_help()
        return 2
    return int(parsed.execute(parsed) or 0)


def build_parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """All commands by name; only the one that is called loads its module."""
    parser = argparse.ArgumentParser(
        prog="toolbox",
        description="A modular toolbox for image-generation research.",
        epilog="Set TOOLBOX_TRACEBACK=1 to see where an error comes from.",
    )
    parser.add_argument("--version", action="version", version=toolbox.__version__)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for name, (module, summary) in COMMANDS.items():
        command = commands.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        if name in words[:1]:
            loaded: Any = importlib.import_module(module)
            loaded.add_arguments(command)
            command.set_defaults(execute=loaded.run)
    for plugin, error in host().call_each("add_commands", subparsers=commands).items():
        complain(f"plugin {plugin}: its commands are missing: {type(error).__name__}: {error}")
    return parser


def _is_ours(error: Exception) -> bool:
    """Errors for people to read: our own kinds, what the system says of a file, ValueErrors of our code."""
    if type(error).__module__.startswith("toolbox") or isinstance(error, OSError):
        return True
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    if not isinstance(error, ValueError) or not frames:
        return False
    raised_in = frames[-1].f_globals.get("__name__", "")
    return bool(raised_in.startswith("toolbox"))


if __name__ == "__main__":
    sys.exit(main())
