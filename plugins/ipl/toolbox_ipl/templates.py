"""The sentences that a label is put into: OpenAI's templates for ImageNet, but for the one of several."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

_ARTICLES = ("a", "the")
_OF_ONE = (
    *(
        "bad photo",
        "sculpture",
        "low resolution photo",
        "rendering",
        "cropped photo",
        "tattoo",
        "bright photo",
    ),
    *("dark photo", "drawing", "close-up photo", "black and white photo", "painting", "pixelated photo"),
    *("jpeg corrupted photo", "blurry photo", "photo", "good photo", "doodle", "sketch", "rendition"),
)
_OF = ("graffiti", "art", "itap")
_LOOKS = ("hard to see", "clean", "dirty", "cool", "large", "nice", "weird", "small")
_MADE = ("embroidered", "plastic", "origami", "toy", "cartoon", "plushie")

#: 79 sentences with ``{}`` where the label goes; CLIP's ensemble, as StyleGAN-NADA and IPL take it.
TEMPLATES: tuple[str, ...] = (
    *(f"a {kind} of {article} {{}}." for article in _ARTICLES for kind in _OF_ONE),
    *(f"{kind} of {article} {{}}." for article in _ARTICLES for kind in _OF),
    *(f"a photo of {article} {looks} {{}}." for article in _ARTICLES for looks in _LOOKS),
    *(f"{article} {made} {{}}." for article in _ARTICLES for made in _MADE),
    *(f"{article} {{}} in a video game." for article in _ARTICLES),
    *("a photo of my {}.", "a photo of one {}.", "itap of my {}."),
)


@torch.no_grad()
def template_features(clip: Any, label: str) -> Tensor:
    """(79, d_clip) features of a label in every template, of unit length."""
    return F.normalize(clip.encode_texts([template.format(label) for template in TEMPLATES]), dim=-1)
