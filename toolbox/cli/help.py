"""``toolbox help NAME``: what a component, command, hook or config key is, and which arguments it takes."""

from __future__ import annotations

import argparse
import inspect
import re
from collections.abc import Callable
from typing import Any

from toolbox import hookspecs
from toolbox.catalog import CatalogError, Entry, near_miss
from toolbox.cli.common import add_plugin_argument, load_plugins
from toolbox.plugins import host
from toolbox.runs.terminal import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    parser.add_argument(
        "name",
        nargs="?",
        help="of a component or metric (KLiSH, fid), a command, a plugin's hook, or a top-level config key",
    )
    add_plugin_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print it; without a name all the names."""
    load_plugins(arguments)
    known = _known()
    if arguments.name is None:
        show("\n\n".join(f"{kind}:\n  {', '.join(names)}" for kind, names in known.items()))
        return 0
    show(explained(arguments.name, known))
    return 0


def explained(name: str, known: dict[str, dict[str, Callable[[], str]]]) -> str:
    """The text of a name; of each kind of thing that has it.

    Raises:
        CatalogError: for an unknown name, with the near miss.
    """
    found = [names[name] for names in known.values() if name in names]
    if not found:  # 'fid' is FID, 'klish' is KLiSH where no command is called so
        folded = {_folded(other): text for names in known.values() for other, text in names.items()}
        found = [folded[_folded(name)]] if _folded(name) in folded else []
    if not found:
        every = [other for names in known.values() for other in names]
        hint = near_miss(name, every) or "; 'toolbox help' lists what there is"
        raise CatalogError(f"nothing is called {name!r}{hint}")
    return "\n\n".join(text() for text in found)


def _known() -> dict[str, dict[str, Callable[[], str]]]:
    """{kind of thing: {name: its text, made when asked for}}."""
    from toolbox.config import KEYS

    entries: dict[str, list[Entry]] = {}
    for entry in host().catalog.entries():
        entries.setdefault(entry.kind, []).append(entry)
    known = {
        kind: {entry.name: _later(_component, entry) for entry in found} for kind, found in entries.items()
    }
    known["command"] = {name: _later(_command, name) for name in _commands([])}
    specs = {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, "toolbox_spec")}
    known["plugin's hook"] = {name: _later(_hook, name, spec) for name, spec in specs.items()}
    known["config key"] = {key: _later(_key, key, text) for key, text in KEYS.items()}
    return known


def _later(make: Callable[..., str], *arguments: Any) -> Callable[[], str]:
    return lambda: make(*arguments)


def _folded(name: str) -> str:
    return re.sub(r"[_\-]", "", name).lower()


def _component(entry: Entry) -> str:
    from toolbox.registry import accepted

    component: Any = entry.load()
    arguments = accepted(component)
    if arguments is None:
        lines = ["takes any arguments"]
    else:
        lines = [f"  {_one_line(parameter)}" for parameter in arguments.values()] or ["  none"]
    head = f"{entry.name}: {entry.kind} of plugin {entry.plugin}, {entry.address}"
    return "\n".join([head, "", _text(component), "", "arguments:", *lines])


def _one_line(parameter: inspect.Parameter) -> str:
    """'clusters: int = 5'."""
    kind = parameter.annotation
    text = parameter.name
    if kind is not inspect.Parameter.empty:
        text += f": {kind if isinstance(kind, str) else inspect.formatannotation(kind)}"
    return text if parameter.default is inspect.Parameter.empty else f"{text} = {parameter.default!r}"


def _command(name: str) -> str:
    return _commands([name])[name].format_help().rstrip()


def _commands(words: list[str]) -> dict[str, argparse.ArgumentParser]:
    """Every command's parser; of those named in ``words`` with its arguments."""
    from toolbox.cli.main import build_parser

    actions = build_parser(words)._actions
    found = next(action for action in actions if isinstance(action, argparse._SubParsersAction))
    return dict(found.choices)


def _hook(name: str, spec: Any) -> str:
    return f"{name}{inspect.signature(spec)}: a hook that a plugin may implement\n\n{_text(spec)}"


def _key(name: str, text: str) -> str:
    return f"{name}: top-level key of a config\n\n{text}"


def _text(thing: Any) -> str:
    """The docstring; without a class's own, none of its base's."""
    return inspect.cleandoc(thing.__doc__ or "(it has no docstring)")
