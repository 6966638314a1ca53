"""Stage 1 of IPL: what the latent mapper learns, on images of the frozen source generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from toolbox import ranks
from toolbox.interfaces import Objective, Turn
from toolbox.ranges import check_not_negative, check_positive
from toolbox_ipl import losses
from toolbox_ipl.texts import (
    RESIDUALS,
    LabelFeatures,
    check_generator_space,
    check_one_of,
    image_features,
    prompt_texts,
)

MEANINGS = ("templates", "label")
REDUCTIONS = ("mean", "sum")

_CONTRASTS = {
    "infonce": "1/2 [CE(s Sim) + CE(s Sim^T)], Sim_ij = cos(E_I(G_s(w_i)), E_T(M_s^j))",
    "cosine_sum": "sum_(i!=j) Sim_ij - sum_i Sim_ii, Sim_ij = cos(E_I(G_s(w_i)), E_T(M_s^j))",
    "cosine_mean": "mean_i [mean_(j!=i) Sim_ij - Sim_ii], Sim_ij = cos(E_I(G_s(w_i)), E_T(M_s^j))",
}
_DOMAINS = {
    "mean": "mean_i [1 - cos(E_T(M_t^i), E_T({label}))]",
    "sum": "-sum_i cos(E_T(M_t^i), E_T({label}))",
}


class PromptContrast(Objective):
    """L_contr: the prompt of an image, with the source's label, is nearer to it than those of others (IPL).

    It couples the images of a batch: those of all processes, but not those of the splits of an accumulated
    step.

    Args:
        prompts: network that learns: LatentPrompts (or SharedPrompts, of which all are equal).
        clip: network that reads images and prompts.
        generator: whose w the prompts map; it makes the fakes too (the game's ``generator``).
        form: 'infonce' (the authors' code), 'cosine_sum' (the paper) or 'cosine_mean'.
        temperature: of 'infonce': 'clip' = 1 / exp(CLIP's logit scale), or a number.
        residual: 'class' (the authors' code), 'prefix' or 'none' (the paper); see
            :func:`toolbox_ipl.texts.prompt_texts`.
    """

    float32 = True

    def __init__(
        self,
        prompts: str = "mapper",
        clip: str = "clip",
        generator: str = "source",
        form: str = "infonce",
        temperature: float | str = "clip",
        residual: str = "class",
    ) -> None:
        super().__init__()
        check_one_of(losses.CONTRASTS, form=form)
        check_one_of(RESIDUALS, residual=residual)
        if temperature != "clip":
            if isinstance(temperature, str):
                raise ValueError(f"temperature={temperature!r} must be 'clip' or a number above 0")
            check_positive(temperature=temperature)
        self.prompts, self.clip, self.generator = prompts, clip, generator
        self.form, self.temperature, self.residual = form, temperature, residual
        self.formulas = {prompts: _CONTRASTS[form]}
        self._labels = LabelFeatures()
        self._log: dict[str, Tensor] = {}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """Of the prompts."""
        return {self.prompts: self.contrast}

    def contrast(self, turn: Turn) -> Tensor:
        """The images of all processes against the prompts of all.

        Raises:
            ValueError: for latents that the prompts do not map.
        """
        check_generator_space(turn, self.prompts, self.generator)
        source = turn.network(self.prompts).names[0]
        with torch.no_grad():
            images = ranks.gather_rows(image_features(turn, self.clip, turn.fake.images))
        own = prompt_texts(turn, self.prompts, self.clip, self.generator, source, self.residual, self._labels)
        prompts = ranks.gather_rows_with_gradient(own)
        self._log = {"found": _retrieved(images, prompts.detach())}
        return losses.contrast(images, prompts, self.form, self._scale(turn.network(self.clip)))

    def _scale(self, clip: Any) -> Tensor | float:
        if isinstance(self.temperature, str):
            scale: Tensor = clip.logit_scale.detach().exp()
            return scale
        return 1 / self.temperature

    def log(self) -> dict[str, Tensor]:
        """found: share of images whose own prompt is the nearest of the batch."""
        values, self._log = self._log, {}
        return values


class PromptDomain(Objective):
    """L_domain: a prompt with the target's label means what the label means (IPL). Its weight is lambda.

    Args:
        prompts, clip, generator, residual: as of :class:`PromptContrast`.
        meaning: of the label: 'templates', the mean over 79 sentences (the authors' code), or 'label', the
            one sentence '<prefix> <label>.'.
        reduction: 'mean' (the authors' code) or 'sum' (the paper).
        source_weight: lambda_src, of the same term with the source's label.
    """

    float32 = True

    def __init__(
        self,
        prompts: str = "mapper",
        clip: str = "clip",
        generator: str = "source",
        residual: str = "class",
        meaning: str = "templates",
        reduction: str = "mean",
        source_weight: float = 0.0,
    ) -> None:
        super().__init__()
        check_one_of(RESIDUALS, residual=residual)
        check_one_of(MEANINGS, meaning=meaning)
        check_one_of(REDUCTIONS, reduction=reduction)
        check_not_negative(source_weight=source_weight)
        self.prompts, self.clip, self.generator = prompts, clip, generator
        self.residual, self.meaning, self.reduction = residual, meaning, reduction
        self.source_weight = source_weight
        label = "Y_t in 79 templates" if meaning == "templates" else "Y_t"
        self.formulas = {prompts: _DOMAINS[reduction].format(label=label) + self._of_source()}
        self._labels = LabelFeatures()

    def _of_source(self) -> str:
        return f" + {self.source_weight:g} (the same of M_s, Y_s)" if self.source_weight else ""

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """Of the prompts."""
        return {self.prompts: self.domain}

    def domain(self, turn: Turn) -> Tensor:
        """Of the target's label, and with a weight of the source's."""
        check_generator_space(turn, self.prompts, self.generator)
        source, target = turn.network(self.prompts).names[:2]
        loss = self._of(turn, target)
        return loss + self.source_weight * self._of(turn, source) if self.source_weight else loss

    def _of(self, turn: Turn, name: str) -> Tensor:
        prompts = prompt_texts(
            turn, self.prompts, self.clip, self.generator, name, self.residual, self._labels
        )
        if self.reduction == "sum":
            prompts = ranks.gather_rows_with_gradient(prompts)
        return losses.domain(prompts, self._meaning(turn, name), self.reduction)

    def _meaning(self, turn: Turn, name: str) -> Tensor:
        clip = turn.network(self.clip)
        if self.meaning == "label":
            return self._labels.text(clip, f"{turn.network(self.prompts).prefix} {name}.")
        return self._labels.templates(clip, name).mean(dim=0)


def _retrieved(images: Tensor, prompts: Tensor) -> Tensor:
    similar = losses.unit(images) @ losses.unit(prompts).t()  # (N, N)
    own = torch.arange(len(similar), device=similar.device)
    return (similar.argmax(dim=1) == own).float().mean()
