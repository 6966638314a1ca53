"""What the surroundings may lack: a torchvision that fits torch, and a network."""

from __future__ import annotations

import importlib
import sys
from functools import cache
from types import ModuleType
from typing import Any

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_keep_alive: list[Any] = []  # the library object must outlive the import, or torch forgets the declarations


def import_torchvision() -> ModuleType:
    """torchvision, with two operators declared that it needs where its own library failed to load.

    A complete build never enters the second branch. Call it before anything that imports torchvision
    (open_clip, timm).
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

    # what the failed import left behind
    for name in [name for name in sys.modules if name == "torchvision" or name.startswith("torchvision.")]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}{_SCHEMA}")
    _keep_alive.append(library)


@cache  # making one takes half a second
def clip_tokenizer(context_length: int = 77) -> Any:
    """open_clip's tokenizer of CLIP's pieces, one for the whole process: it works offline."""
    import_torchvision()
    from open_clip import SimpleTokenizer

    return SimpleTokenizer(context_length=context_length)


def reachable(url: str, seconds: float = 8.0) -> bool:
    """Whether a server answers, whatever it says; where none does, downloads retry for minutes."""
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=seconds):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
