"""Real or fake, judged by CLIP under a combination of cluster prompts (LCP-GAN, eq. 4 and 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from toolbox.interfaces import Condition, Discriminator, PromptLearner
from toolbox.ranges import check_positive, check_whole, given
from toolbox.registry import build


class PromptDiscriminator(Discriminator):
    """D(x, t_y, u) = (w_y(u) + w_unc) . h_img(E_img(x)) with w_y(u) = sum_i u^(i) h_txt(E_txt(t_{y,i})).

    CLIP's encoders E stay frozen and belong to somebody else; prompts, h_txt, h_img and w_unc move with this
    network. When it does not move (its parameters ask for no gradient) the text features are constants:
    prompts never help the generator to fool them. Judge real and fake images in one pass (an adversarial
    objective's ``joint=True``) and the prompts of both are encoded once.

    Args:
        clip: network with both encoders (``uses=dict(clip='clip')``); borrowed.
        prompts: config of the prompts; ``clip`` is filled in.
        hidden: d_h, width of h_txt and h_img. Unknown in the paper.
        scale: factor of the score; None = 1 / sqrt(hidden). Unknown in the paper.
        normalize: scale CLIP's features to unit length first. Unknown in the paper.
        spectral: spectral norm on h_img. Unknown in the paper.
        prompt_every: prompts are encoded with gradients at every so many steps of this network only; in
            between their features are constants. Unknown in the paper.
    """

    steps: Tensor

    def __init__(
        self,
        clip: Any,
        prompts: Mapping[str, Any] | PromptLearner,
        hidden: int = 256,
        scale: float | None = None,
        normalize: bool = False,
        spectral: bool = True,
        prompt_every: int = 1,
    ) -> None:
        super().__init__()
        check_whole(1, hidden=hidden, prompt_every=prompt_every)
        check_positive(**given(scale=scale))
        self._clip = (clip,)  # in a tuple: borrowed networks are no submodules
        filled_in = {"clip": clip} if isinstance(prompts, Mapping) else {}
        self.prompts: PromptLearner = build(
            prompts, "prompt_learner", "prompt_discriminator.prompts", **filled_in
        )
        image = nn.Linear(clip.embedding_dim, hidden)
        self.h_img = nn.Sequential(spectral_norm(image) if spectral else image, nn.LeakyReLU(0.2))
        self.h_txt = nn.Linear(clip.embedding_dim, hidden)
        nn.init.orthogonal_(self.h_txt.weight)
        self.w_unc = nn.Parameter(0.02 * torch.randn(hidden))
        self.scale = hidden**-0.5 if scale is None else scale
        self.normalize = normalize
        self.prompt_every = prompt_every
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))  # of this network, while it moved
        self._last_seen: int | None = None

    @property
    def clip(self) -> Any:
        """The borrowed CLIP."""
        return self._clip[0]

    def encode(self, images: Tensor) -> Tensor:
        """h_img(E_img(x)), (N, hidden); gradients reach the images, and h_img, but not CLIP."""
        return self.h_img(self._unit(self.clip.encode_images(images)))

    # eq. 4: w_y(u) = sum_i u^(i) h_txt(E_txt(t_{y,i})); eq. 5: D = (w_y(u) + w_unc) . h_img(E_img(x))
    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        """Logits (N,) of features (N, hidden) under ``condition.weights`` (N, S), the rows of u.

        Zero rows are judged by w_unc alone.

        Raises:
            ValueError: when there are no weights, or not one for each prompt.
        """
        weights = self._weights(condition, len(features))
        moving = self._prompts_move()
        asked_for = (weights != 0).any(dim=0).nonzero().flatten()  # only these prompts are encoded
        w = self.w_unc.expand(len(features), -1)  # (N, hidden)
        if len(asked_for):
            texts = self.h_txt(self._unit(self._texts(asked_for, moving)))  # (prompts, hidden)
            w = w + weights[:, asked_for] @ texts
        return (w * features).sum(dim=1) * self.scale

    def _weights(self, condition: Condition | None, n: int) -> Tensor:
        """``condition.weights``, checked to be (n, S)."""
        weights = None if condition is None else condition.weights
        if weights is None:
            raise ValueError(
                "PromptDiscriminator needs condition.weights (N, S): use a conditioner that gives "
                "coefficients over clusters, such as ClusterConditions"
            )
        if weights.shape != (n, self.prompts.n_prompts):
            raise ValueError(
                f"condition.weights is {tuple(weights.shape)}, expected ({n}, {self.prompts.n_prompts}): "
                "the conditioner and the prompts must name the same classes and clusters"
            )
        return weights

    def _texts(self, which: Tensor, moving: bool) -> Tensor:
        """Text features E_txt(t), constants when it is not the prompts' turn."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and moving):
            return self.prompts.encode(self.clip, which)

    def _prompts_move(self) -> bool:
        """Whether this is the turn of this network, and one of the steps at which its prompts learn."""
        if not self.w_unc.requires_grad:
            return False
        version = self.w_unc._version  # grows with every optimiser step
        if self.training and torch.is_grad_enabled() and version != self._last_seen:
            self.steps += 1
            self._last_seen = version
        return self.prompt_every == 1 or int(self.steps - 1) % self.prompt_every == 0

    def _unit(self, features: Tensor) -> Tensor:
        return F.normalize(features, dim=1) if self.normalize else features
