"""DiffusionCLIP's loss around a direction (Kim et al. 2022, arXiv 2110.02711), and Diff-IPL's."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

import toolbox
from toolbox.interfaces import Objective, Turn
from toolbox.ranges import check_not_negative
from toolbox.registry import Config
from toolbox_ipl.directional import DirectionalClip

_LEAST = 1e-6  # of (2 - L) / 2, which is 0 where an image moves against its text


class DiffusionClip(Objective):
    """A directional term that grows without bound, and two that keep the image.

        w E[-ln((2 - L_i) / 2)] + w_1 E |x_i - y_i| + w_id E[1 - cos(R(x_i), R(y_i))]

    x_i is a fake, y_i what the frozen source makes of its latents (in as many steps: DiffusionCLIP compares
    with the image that was inverted), L_i in [0, 2] the directional loss of the pair, R a network that knows
    identities. With DiffusionCLIP's fixed direction it is DiffusionCLIP's loss, with image-specific ones
    Diff-IPL's, whose weights are not published.

    Args:
        term: the directional term, ``dict(type='DirectionalClip', ...)``: it has ``per_sample(turn)``.
        clip_weight: w.
        l1_weight: w_1.
        identity_weight: w_id.
        identity: name of the network R, images -> (N, d); needed where w_id is not 0.

    Raises:
        ValueError: for another kind of term, a negative weight, or an identity that is missing.
    """

    float32 = True

    def __init__(
        self,
        term: Config,
        clip_weight: float = 3.0,
        l1_weight: float = 1.0,
        identity_weight: float = 0.0,
        identity: str | None = None,
    ) -> None:
        super().__init__()
        check_not_negative(clip_weight=clip_weight, l1_weight=l1_weight, identity_weight=identity_weight)
        if identity_weight and identity is None:
            raise ValueError(f"identity_weight={identity_weight} needs identity, the name of a network")
        made = toolbox.build(term, "objective")
        if not isinstance(made, DirectionalClip):
            raise ValueError(f"term must be a DirectionalClip, got {type(made).__name__}")
        self.term = made
        self.clip_weight, self.l1_weight = clip_weight, l1_weight
        self.identity_weight, self.identity = identity_weight, identity
        kept = f" + {l1_weight:g} |G_t - G_s|" if l1_weight else ""
        kept += f" + {identity_weight:g} (1 - cos of {identity})" if identity_weight else ""
        own = made.formulas[made.generator]
        self.formulas = {made.generator: f"{clip_weight:g} (-ln((2 - L_i) / 2)){kept}; L_i = {own}"}
        self._log: dict[str, Tensor] = {}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """Of the generator."""
        return {self.term.generator: self.loss}

    def loss(self, turn: Turn) -> Tensor:
        """Mean over the images."""
        direction = self.term.per_sample(turn)  # (N,)
        fake, source = turn.fake.images, self.term.source_sample(turn).images
        moved = -((2 - direction) / 2).clamp_min(_LEAST).log().mean()
        distance = (fake - source).abs().mean()
        self._log = {"direction": direction.detach().mean(), "l1": distance.detach()}
        total = self.clip_weight * moved + self.l1_weight * distance
        if self.identity_weight:
            total = total + self.identity_weight * self._identity_loss(turn, fake, source)
        return total

    def log(self) -> dict[str, Tensor]:
        """direction, l1: the terms by themselves; and what the directional term logs."""
        values, self._log = self._log | self.term.log(), {}
        return values

    def _identity_loss(self, turn: Turn, fake: Tensor, source: Tensor) -> Tensor:
        assert self.identity is not None
        network = turn.network(self.identity)
        with torch.no_grad():
            wanted = network(source)
        loss: Tensor = 1 - torch.cosine_similarity(network(fake), wanted).mean()
        self._log["identity"] = loss.detach()
        return loss
