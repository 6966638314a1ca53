"""The other loss terms of StyleGAN-NADA's code, which its paper and IPL's give no weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from toolbox.interfaces import Turn, draw_rows
from toolbox.ranges import check_whole
from toolbox_ipl import losses
from toolbox_ipl.directional import ClipObjective
from toolbox_ipl.texts import image_features

#: What the patches of animal faces may show; ``{}`` is the label.
PARTS = (
    *("paw", "nose", "eye", "ears", "eye", "tongue", "fur", "colorful {} fur", "snout", "teeth"),
    *("{}s fangs", "claw", "face", "neck", "head"),
)


class GlobalClip(ClipObjective):
    """1 - cos(E_I(G_t(w)), E_T("a <label>")): every image becomes the label (NADA, L_global).

    It leads to one image for all latents, or to noise that only CLIP takes for the label.

    Args:
        label: of the target domain.
        clip, generator: see :class:`ClipObjective`.
    """

    def __init__(self, label: str, clip: str = "clip", generator: str = "generator") -> None:
        super().__init__(None, clip, generator=generator)
        if not label.strip():
            raise ValueError(f"label={label!r} is empty")
        self.label = label.strip()
        self.formulas = {generator: f'1 - cos(E_I(G_t(w)), E_T("a {self.label}"))'}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """Of the generator."""
        return {self.generator: self.loss}

    def loss(self, turn: Turn) -> Tensor:
        """Mean over the images."""
        images = image_features(turn, self.clip, turn.fake.images)
        return losses.global_loss(images, self.texts.text(turn.network(self.clip), f"a {self.label}"))


class ManifoldClip(ClipObjective):
    """|cos(E_I(G_t), E_I(G_s)) - cos(E_T(Y_t), E_T(Y_s))|: images move as far as labels do (NADA's code)."""

    def __init__(
        self,
        labels: Sequence[str],
        clip: str = "clip",
        source: str = "source",
        generator: str = "generator",
        same_noise: bool = False,
    ) -> None:
        super().__init__(labels, clip, source, generator, same_noise)
        self.formulas = {generator: "|cos(E_I(G_t(w)), E_I(G_s(w))) - cos(E_T(Y_t), E_T(Y_s))|"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """Of the generator."""
        return {self.generator: self.loss}

    def loss(self, turn: Turn) -> Tensor:
        """Mean over the images."""
        assert self.labels is not None
        with torch.no_grad():
            source = image_features(turn, self.clip, self.source_sample(turn).images)
        target = image_features(turn, self.clip, turn.fake.images)
        texts = [self.texts.templates(turn.network(self.clip), label) for label in self.labels]
        return losses.manifold_loss(source, target, *texts)


class PatchClip(ClipObjective):
    """A patch moves as the name of what it shows does, by a soft choice among parts (NADA's code).

        dT_k = N(mean over 79 templates of N(E_T(part_k of Y_t)) - N(E_T(part_k of Y_s)))
        loss = mean_{i, k} softmax_k(dI_i . dT_k) (1 - cos(dI_i, dT_k)),   dI_i of a patch at one random place

    Args:
        labels: of the source and the target domain.
        parts: what patches may show. One with ``{}`` takes the label there, others before them.
        patch: its height and width, in pixels; the authors' code has 510 of 1024.
        clip, source, generator, same_noise: see :class:`ClipObjective`.
    """

    def __init__(
        self,
        labels: Sequence[str],
        parts: Sequence[str] = PARTS,
        patch: int = 510,
        clip: str = "clip",
        source: str = "source",
        generator: str = "generator",
        same_noise: bool = False,
    ) -> None:
        super().__init__(labels, clip, source, generator, same_noise)
        check_whole(1, patch=patch)
        if isinstance(parts, str) or not parts:
            raise ValueError(f"parts={parts!r} must be a list of what patches show, such as ['nose', 'eye']")
        self.parts, self.patch = tuple(parts), patch
        self.formulas = {generator: "softmax_k(dI . dT_k) (1 - cos(dI, dT_k)) of a patch and its parts k"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """Of the generator."""
        return {self.generator: self.loss}

    def loss(self, turn: Turn) -> Tensor:
        """Mean over the images, a patch each, and the parts.

        Raises:
            ValueError: for images smaller than a patch.
        """
        target, source = turn.fake.images, self.source_sample(turn).images
        corners = self._corners(turn, target.shape[-1])
        pair = [_cut(images, corners, self.patch) for images in (target, source)]
        directions = self.image_directions(turn, pair[0], pair[1], losses.EPSILON)
        return losses.patch_loss(directions, self._part_directions(turn))

    def _corners(self, turn: Turn, size: int) -> list[list[int]]:
        """(N, 2) upper left corners, uniform."""
        if self.patch > size:
            raise ValueError(
                f"patch={self.patch} is larger than the images of {self.generator!r}, {size} pixels"
            )
        n, last = len(turn.fake.images), size - self.patch
        drawn = draw_rows(lambda rows: torch.rand(rows, 2, generator=turn.rng), n, turn.rng)
        corners: list[list[int]] = (drawn * (last + 1)).long().clamp(max=last).tolist()
        return corners

    def _part_directions(self, turn: Turn) -> Tensor:
        """(K, d_clip), of unit length."""
        assert self.labels is not None
        clip = turn.network(self.clip)
        rows = []
        for part in self.parts:
            named = part if "{}" in part else f"{{}} {part}"
            sides = [self.texts.templates(clip, named.format(label)) for label in self.labels]
            rows.append(losses.text_direction(*sides))
        return torch.stack(rows)


def _cut(images: Tensor, corners: Sequence[Sequence[int]], size: int) -> Tensor:
    """(N, 3, size, size), of each image the patch at its corner (row, column)."""
    cut = [image[:, y : y + size, x : x + size] for image, (y, x) in zip(images, corners, strict=True)]
    return torch.stack(cut)
