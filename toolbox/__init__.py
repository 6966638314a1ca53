"""A plugin-based, modular toolbox for image-generation research.

    toolbox.build(dict(type='SoftKMeans', clusters=5)).fit(features)
    generator = toolbox.load_generator('runs/lcp_cifar')
    images = generator.sample(16, seed=0)

Nothing heavy is imported until it is used.
"""

from __future__ import annotations

import importlib
from typing import Any

from toolbox.hookspecs import PLUGIN_API_VERSION, hookimpl

__version__ = "0.1.0"

_LAZY = {
    "build": "toolbox.registry",
    "feature_stream": "toolbox.features",
    "load_generator": "toolbox.loading",
    "load_run": "toolbox.loading",
    "load_config": "toolbox.config",
    "train": "toolbox.pipeline",
    "interfaces": "toolbox.interfaces",
}

__all__ = ["PLUGIN_API_VERSION", "__version__", "hookimpl", *sorted(_LAZY)]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'toolbox' has no attribute {name!r}")
    module = importlib.import_module(_LAZY[name])
    return module if name == "interfaces" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
