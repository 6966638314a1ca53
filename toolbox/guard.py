"""Import torchvision where its compiled part does not match torch (a CUDA build beside a CPU torch)."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_keep_alive: list[Any] = []  # the library object must outlive the import, or torch forgets the declarations


def import_torchvision() -> ModuleType:
    """torchvision, with the two operators it cannot import without declared if its own library failed to load.

    A complete build never enters the second branch. Call it before anything that imports torchvision (open_clip, timm).
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::nms" not in str(error):
            raise
    _declare_missing_operators()
    return importlib.import_module("torchvision")


def _declare_missing_operators() -> None:
    import torch

    for name in [name for name in sys.modules if name == "torchvision" or name.startswith("torchvision.")]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}{_SCHEMA}")
    _keep_alive.append(library)
