"""Stage 2 of IPL and StyleGAN-NADA: images move in CLIP's space as texts do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from toolbox.interfaces import Objective, Sample, Turn
from toolbox.ranges import check_not_negative
from toolbox_ipl import losses
from toolbox_ipl.prompts import checked_names
from toolbox_ipl.texts import (
    RESIDUALS,
    LabelFeatures,
    check_generator_space,
    check_one_of,
    image_features,
    prompt_texts,
)

DIRECTIONS = ("image_specific", "fixed", "sentence")

_FORMULAS = {
    "image_specific": "1 - cos(dI_i, dT_i), dT_i = N(E_T(M_t^i)) - N(E_T(M_s^i))",
    "fixed": "1 - cos(dI_i, dT), dT = mean over 79 templates of N(E_T(Y_t)) - N(E_T(Y_s))",
    "sentence": '1 - cos(dI_i, dT), dT = N(E_T("<prefix> Y_t.")) - N(E_T("<prefix> Y_s."))',
}
_IMAGES = "; dI_i = N(E_I(G_t(w_i))) - N(E_I(G_s(w_i)))"


class ClipObjective(Objective):
    """A term of the generator that adapts, beside a frozen one, judged by a frozen CLIP.

    Args:
        labels: of the source and the target domain.
        clip: network that reads images and texts.
        source: the frozen generator.
        generator: the one that learns (the game's ``generator``).
        same_noise: the source's images get the noise of the fakes, not noise of their own.
    """

    float32 = True

    def __init__(
        self,
        labels: Sequence[str] | None,
        clip: str = "clip",
        source: str = "source",
        generator: str = "generator",
        same_noise: bool = False,
    ) -> None:
        super().__init__()
        self.labels = None if labels is None else checked_names(labels)[:2]
        self.clip, self.source, self.generator = clip, source, generator
        self.same_noise = same_noise
        self.texts = LabelFeatures()

    def source_sample(self, turn: Turn) -> Sample:
        """What the frozen generator makes of the fakes' latents."""
        return turn.generate(self.source, same_noise=self.same_noise)

    def image_directions(self, turn: Turn, target: Tensor, source: Tensor, epsilon: float) -> Tensor:
        """dI (N, d_clip), of unit length, of images of the turn (N, 3, H, W)."""
        moved = image_features(turn, self.clip, target)
        with torch.no_grad():
            still = image_features(turn, self.clip, source)
        return losses.directions(still, moved, epsilon)


class DirectionalClip(ClipObjective):
    """L_adapt: each image moves in the direction of its own prompts (IPL), or of the labels (NADA).

    'image_specific' is IPL; 'fixed' is StyleGAN-NADA's direction between two labels in 79 templates;
    'sentence' is that of one sentence each, "<prefix> <label>.".

    Args:
        direction: one of DIRECTIONS.
        labels: of both domains. With 'image_specific' those of the prompts, and left out.
        prompts: of 'image_specific': the trained prompts.
        residual: of 'image_specific': 'class', 'prefix' (the authors' code in this stage) or 'none' (the
            paper); see :func:`toolbox_ipl.texts.prompt_texts`.
        prefix: of 'sentence'.
        epsilon: added to the length of an image direction, so that equal images have none (NADA's 1e-7).
        clip, source, generator, same_noise: see :class:`ClipObjective`.

    Raises:
        ValueError: for labels that are missing, equal or where they are not to be.
    """

    def __init__(
        self,
        direction: str = "image_specific",
        labels: Sequence[str] | None = None,
        prompts: str = "mapper",
        residual: str = "class",
        prefix: str = "a photo of a",
        epsilon: float = losses.EPSILON,
        clip: str = "clip",
        source: str = "source",
        generator: str = "generator",
        same_noise: bool = False,
    ) -> None:
        super().__init__(labels, clip, source, generator, same_noise)
        check_one_of(DIRECTIONS, direction=direction)
        check_one_of(RESIDUALS, residual=residual)
        check_not_negative(epsilon=epsilon)
        if (direction == "image_specific") != (labels is None):
            wanted = "are those of the prompts: leave them out" if labels else "are missing, [source, target]"
            raise ValueError(f"labels of direction={direction!r} {wanted}")
        self.direction, self.prompts, self.residual = direction, prompts, residual
        self.prefix, self.epsilon = prefix, epsilon
        self.formulas = {generator: _FORMULAS[direction] + _IMAGES}
        self._log: dict[str, Tensor] = {}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """Of the generator."""
        return {self.generator: self.loss}

    def loss(self, turn: Turn) -> Tensor:
        """Mean over the images."""
        return self.per_sample(turn).mean()

    def per_sample(self, turn: Turn, target: Tensor | None = None, source: Tensor | None = None) -> Tensor:
        """1 - cos(dI_i, dT_i), (N,): 0 where an image moved as its text does, 2 where it moved against it.

        Args:
            turn: whose latents and prompts.
            target, source: images (N, 3, H, W) of both generators; None = the turn's fakes, and what the
                source makes of their latents.

        Raises:
            ValueError: for latents that the prompts do not map.
        """
        target = turn.fake.images if target is None else target
        source = self.source_sample(turn).images if source is None else source
        images = self.image_directions(turn, target, source, self.epsilon)
        texts = self.text_directions(turn)
        found = losses.direction_losses(images, texts)
        self._log = {"spread": spread(images.detach())}
        return found

    @torch.no_grad()
    def text_directions(self, turn: Turn) -> Tensor:
        """dT, (N, d_clip) of image-specific directions, else (1, d_clip); of unit length."""
        if self.direction == "image_specific":
            check_generator_space(turn, self.prompts, self.source)
            return self._of_prompts(turn)
        assert self.labels is not None
        clip = turn.network(self.clip)
        if self.direction == "fixed":
            sides = [self.texts.templates(clip, label) for label in self.labels]
        else:
            sides = [self.texts.text(clip, f"{self.prefix} {label}.")[None] for label in self.labels]
        return losses.text_direction(*sides)[None]

    def _of_prompts(self, turn: Turn) -> Tensor:
        named = turn.network(self.prompts).names[:2]
        source, target = (
            prompt_texts(turn, self.prompts, self.clip, self.source, name, self.residual, self.texts)
            for name in named
        )
        return losses.unit(target - source)

    def log(self) -> dict[str, Tensor]:
        """spread: 1 - the mean cosine of two images' directions; 0 where all move alike."""
        values, self._log = self._log, {}
        return values


def spread(directions: Tensor) -> Tensor:
    """1 - mean over pairs i != j of cos(d_i, d_j), of unit directions (N, d); 0 for one image."""
    n = len(directions)
    pairs: Any = directions.sum(dim=0).square().sum() - directions.square().sum()
    return 1 - pairs / max(n * (n - 1), 1) if n > 1 else pairs * 0
