"""The core's own components, brought through the same hooks as anybody else's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolbox.hookspecs import PLUGIN_API_VERSION, hookimpl

COMPONENTS: dict[str, dict[str, str]] = {
    "model": {"Game": "toolbox.training.game:Game"},
    "loop": {"GameLoop": "toolbox.training.loop:GameLoop"},
    "optim_constructor": {"PlayerOptimizers": "toolbox.training.optimizers:PlayerOptimizers"},
}


@hookimpl
def plugin_info() -> dict[str, Any]:
    """The toolbox itself."""
    return dict(name="toolbox", title="the core", summary="base networks, data, metrics and training that papers share",
                api_version=PLUGIN_API_VERSION)


@hookimpl
def register_components(register: Callable[[str, str, str], None]) -> None:
    """Everything in COMPONENTS."""
    for kind, names in COMPONENTS.items():
        for name, address in names.items():
            register(kind, name, address)


@hookimpl
def configs() -> dict[str, Path]:
    """The configs of a source checkout (``toolbox/<name>``); none in a bare installation."""
    folder = Path(__file__).parent.parent / "configs"
    return {file.stem: file for file in sorted(folder.glob("*.py"))}
