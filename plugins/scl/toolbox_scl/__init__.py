"""SCL: label-guided supervised contrastive learning for text-to-image GANs (Liu et al. 2024)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolbox import hookimpl
from toolbox.source_tree import linked_folder

_COMPONENTS = {
    "LabelContrast": ("objective", "objective:LabelContrast"),
    "LabelClassifiers": ("network", "classifiers:LabelClassifiers"),
}


@hookimpl
def plugin_info() -> dict[str, object]:
    """Who this plugin is and which API it was written for."""
    return {
        "name": "scl",
        "title": "SCL",
        "paper": "A Framework For Image Synthesis Using Supervised Contrastive Learning (arXiv 2412.03957)",
        "api_version": 1,
        "summary": "Contrast of two branches' images and captions guided by labels, for text-to-image GANs.",
    }


@hookimpl
def register_components(register: Callable[[str, str, str], None]) -> None:
    """Names of the components, by address: nothing is imported until one is built."""
    for name, (kind, address) in _COMPONENTS.items():
        register(kind, name, f"toolbox_scl.{address}")


@hookimpl
def configs() -> dict[str, Path]:
    """The ready-made configs, ``scl/<name>``."""
    folder = linked_folder(Path(__file__).parent / "configs")
    return {file.stem: file for file in sorted(folder.glob("scl_*.py"))}


@hookimpl
def add_commands(subparsers: Any) -> None:
    """``toolbox scl table``."""
    from toolbox_scl.table.command import add_commands as add

    add(subparsers)
