"""Every hook a plugin may implement. All are optional; all arguments are keywords.

A plugin implements a hook by a function of the same name, marked ``@toolbox.hookimpl``, in the module (or
object) that its entry point names. This module imports nothing heavy, and a plugin's should not either.
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
    """Who I am: dict(name, title, paper, summary, api_version). A plugin for a newer API than ours is
    skipped.
    """


@hookspec
def register_components(register: Callable[[str, str, str], None]) -> None:
    """Declare components: ``register(kind, name, 'module:Class')``. Nothing is imported until it is built."""


@hookspec
def configs() -> dict[str, Path]:  # type: ignore[empty-body]
    """Ready-made configs, {name: file}: ``<plugin>/<name>`` resolves on the command line and in
    ``_base_``.
    """


@hookspec
def config_choices() -> dict[str, dict[str, tuple[str, ...]]]:  # type: ignore[empty-body]
    """Dicts in the configs of my commands that have a choice of keys, {command: {dotted key: keys}}.

    Such a dict names what is taken by one of these keys. A config that names another one replaces it whole,
    as another ``type`` replaces a component.
    """


@hookspec
def add_commands(subparsers: Any) -> None:
    """Add sub-commands to the ``toolbox`` command: ``parser.set_defaults(execute=function_of_arguments)``."""


@hookspec
def draw_pictures(sampler: Any, real: Any, folder: Path) -> None:
    """At the end of a run: draw what my components are about into ``folder/pictures/*.png`` (captions through
    ``toolbox.visual.pictures.add_picture``) and ``folder/tables/*.json``; all of it goes into the report.

    ``sampler`` is the trained game's :class:`toolbox.training.game.sampler.Sampler`, ``real`` the training
    set's ImageSet (true labels: for looking, not for learning). Do nothing for a game that has none of my
    components.
    """
