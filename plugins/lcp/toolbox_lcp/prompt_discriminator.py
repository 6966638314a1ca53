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
        self._step = 0  # the same as a number, which nobody has to wait for
        self._last_seen: int | None = None
        self._kept: tuple[Any, Tensor] | None = None

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
        w = self.w_unc.expand(len(features), -1)  # (N, hidden)
        asked_for = self._asked_for(weights)
        if asked_for is None or len(asked_for):
            rows = weights if asked_for is None else weights[:, asked_for]
            w = w + rows @ self.h_txt(self._unit(self._texts(asked_for, moving)))  # of (prompts, hidden)
        return (w * features).sum(dim=1) * self.scale

    @staticmethod
    def _asked_for(weights: Tensor) -> Tensor | None:
        """Prompts with some weight: only these are encoded. None = all, where finding out takes a wait."""
        return (weights != 0).any(dim=0).nonzero().flatten() if weights.device.type == "cpu" else None

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

    def _texts(self, which: Tensor | None, moving: bool) -> Tensor:
        """Text features E_txt(t); constants, kept until they move, when it is not the prompts' turn."""
        learnt = any(parameter.requires_grad for parameter in self.prompts.parameters())
        if moving and learnt and torch.is_grad_enabled():
            return self.prompts.encode(self.clip, which)
        if self._moves_every_step:
            with torch.no_grad():
                return self.prompts.encode(self.clip, which)
        texts = self._constant_texts()
        return texts if which is None else texts[which]

    @property
    def _moves_every_step(self) -> bool:
        """Then features kept from the last step are never asked for again."""
        return self.prompt_every == 1 and any(p.numel() for p in self.prompts.parameters())

    def _constant_texts(self) -> Tensor:
        """(S, d_clip) features of all prompts, encoded again only after they have moved."""
        tensors = [*self.prompts.parameters(), *self.prompts.buffers(), next(self.clip.parameters())]
        state = [(id(tensor), tensor._version, tensor.device, tensor.dtype) for tensor in tensors]
        if self._kept is None or self._kept[0] != state:
            with torch.no_grad():
                self._kept = (state, self.prompts.encode(self.clip, None))
        return self._kept[1]

    def _prompts_move(self) -> bool:
        """Whether this is the turn of this network, and one of the steps at which its prompts learn."""
        if not self.w_unc.requires_grad:
            return False
        version = self.w_unc._version  # grows with every optimiser step
        if self.training and torch.is_grad_enabled() and version != self._last_seen:
            self.steps += 1
            self._step += 1
            self._last_seen = version
        return (self._step - 1) % self.prompt_every == 0

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        self._step = int(self.steps)

    def _unit(self, features: Tensor) -> Tensor:
        return F.normalize(features, dim=1) if self.normalize else features
