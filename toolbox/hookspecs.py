"""Every hook a plugin may implement. All are optional; all arguments are keywords.

A plugin implements a hook by a function of the same name, marked ``@toolbox.hookimpl``, in the module (or object) that
its entry point names. This module imports nothing heavy, and a plugin's should not either.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pluggy

GROUP = "toolbox.plugins"
PLUGIN_API_VERSION = 1

hookspec = pluggy.HookspecMarker("toolbox")
hookimpl = pluggy.HookimplMarker("toolbox")


@hookspec
def plugin_info() -> dict[str, Any]:  # type: ignore[empty-body]
    """Who I am: dict(name, title, paper, summary, api_version). A plugin for a newer API than ours is skipped."""


@hookspec
def register_components(register: Callable[[str, str, str], None]) -> None:
    """Declare components: ``register(kind, name, 'module:Class')``. Nothing is imported until it is built."""


@hookspec
def configs() -> dict[str, Path]:  # type: ignore[empty-body]
    """Ready-made configs, {name: file}: ``<plugin>/<name>`` resolves on the command line and in ``_base_``."""


@hookspec
def weights() -> list[dict[str, Any]]:  # type: ignore[empty-body]
    """Weights I know of: dicts of name, address, sha256, licence, and how to convert them."""


@hookspec
def add_commands(subparsers: Any) -> None:
    """Add sub-commands to the ``toolbox`` command: ``parser.set_defaults(run=function_of_arguments)``."""


@hookspec
def report_sections(run: Any) -> list[dict[str, Any]]:  # type: ignore[empty-body]
    """Sections of a finished run's report: dicts of title, and html or images ({caption: (N, 3, H, W)})."""
