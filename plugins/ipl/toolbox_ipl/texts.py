"""What CLIP makes of labels and prompts, for the loss terms of both stages."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from toolbox.catalog import near_miss
from toolbox.interfaces import Turn
from toolbox_ipl.losses import unit
from toolbox_ipl.prompts import DomainPrompts
from toolbox_ipl.templates import template_features

RESIDUALS = ("none", "class", "prefix")


class LabelFeatures:
    """Features of a frozen CLIP of fixed texts: encoded when first asked for, then kept for the run."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, torch.device, str, str], Tensor] = {}

    def templates(self, clip: Any, label: str) -> Tensor:
        """(79, d_clip), of unit length."""
        return self._once(clip, "templates", label)

    def text(self, clip: Any, text: str) -> Tensor:
        """(d_clip,), as it is."""
        return self._once(clip, "text", text)

    def _once(self, clip: Any, kind: str, text: str) -> Tensor:
        key = (id(clip), next(clip.parameters()).device, kind, text)  # of a CLIP that moved: encoded anew
        if key not in self._kept:
            with torch.no_grad():
                self._kept[key] = (
                    template_features(clip, text) if kind == "templates" else _encoded(clip, text)
                )
        return self._kept[key]


def _encoded(clip: Any, text: str) -> Tensor:
    feature: Tensor = clip.encode_texts(text)[0]
    return feature


def prompt_texts(
    turn: Turn, prompts: str, clip: str, generator: str, name: str, residual: str, labels: LabelFeatures
) -> Tensor:
    """N(E_T(M^i) + e): what the prompts of a turn's fakes mean before a label, (N, d_clip), of unit length.

        e = 0 (none); E_T("<prefix> <label>.") (class); E_T("<prefix>") (prefix)

    'class' is what the authors' code has in stage 1: the prompts are learnt as a residual of a hand-written
    one. In its stage 2 the label is lost on the way, which leaves 'prefix'. The paper speaks of none.

    Args:
        turn: whose fakes.
        prompts, clip, generator: names of networks: the prompts, who reads them, whose w they map.
        name: the label.
        residual: one of RESIDUALS.
        labels: where E_T of fixed texts is kept.
    """
    learner: DomainPrompts = turn.network(prompts)
    encoder = frozen_clip(turn, clip)
    key = ("ipl prompts", prompts, clip, generator, name)
    features = turn.once(key, lambda: learner.encode(encoder, style_latents(turn, generator), name))
    if residual == "none":
        return unit(features)
    text = learner.prefix if residual == "prefix" else f"{learner.prefix} {name}."
    return unit(features + labels.text(encoder, text))


def style_latents(turn: Turn, generator: str) -> Tensor:
    """w (N, style_dim) of a turn's fakes by a generator that stands still; where it has no W, z."""
    fake = turn.fake
    network = turn.network(generator)

    def mapped() -> Tensor:
        with torch.no_grad():
            latents: Tensor = network.style_latent(fake.latents, fake.condition)
        return latents

    latents: Tensor = turn.once(("ipl latents", generator), mapped)
    return latents


def image_features(turn: Turn, clip: str, images: Tensor) -> Tensor:
    """E_I of images of a turn, (N, d_clip), as they are; once a turn."""
    turn.once(("ipl alive", id(images)), lambda: images)  # keeps the id from being given to another object
    features: Tensor = turn.once(
        ("ipl images", clip, id(images)), lambda: frozen_clip(turn, clip).encode_images(images)
    )
    return features


def frozen_clip(turn: Turn, clip: str) -> Any:
    """The CLIP that judges.

    Raises:
        ValueError: for one that moves: what it made of texts is kept for the run.
    """
    if turn.moves(clip):
        raise ValueError(
            f"{clip!r} is trained by the player {turn.player!r}, and texts are encoded once a run: the CLIP "
            "that judges stands still, take it out of model.players"
        )
    return turn.network(clip)


def check_one_of(allowed: tuple[str, ...], **arguments: Any) -> None:
    """Raise ValueError for an argument whose value is not one of ``allowed``, with the near miss."""
    for name, value in arguments.items():
        if value not in allowed:
            hint = near_miss(str(value), list(allowed))
            raise ValueError(f"{name}={value!r}{hint}; allowed: {', '.join(allowed)}")


def check_generator_space(turn: Turn, prompts: str, generator: str) -> None:
    """Raise ValueError where prompts map latents of another width than a generator's."""
    wanted = getattr(turn.network(prompts), "latent_dim", None)
    found = turn.network(generator).style_dim
    if wanted is not None and wanted != found:
        raise ValueError(
            f"{prompts!r} maps latents of {wanted} numbers, and the W of {generator!r} has {found}: "
            f"train prompts with this generator, with latent_dim={found}"
        )
