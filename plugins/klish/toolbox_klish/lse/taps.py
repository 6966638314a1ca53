"""Images of a frozen generator with its maps on the way to them, of the same latents and the same noise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from toolbox.interfaces import Condition, Generator, RowGenerator, Rows, draw_rows
from toolbox.randomness import mix


class Taps:
    """Latents, conditions and noise of some images, drawn once; images and maps follow from them.

    Args:
        generator: in eval mode, with feature layers; class-conditional ones get random classes.
        latents: (N, latent_dim) on its device.
        condition: of the images; None = none.
        noise: seed of the noise, for the rows at hand; None = the noise that is part of the weights.
        truncation: in (0, 1].
        rows: which rows of a larger batch these are; None = all.
    """

    def __init__(
        self,
        generator: Generator,
        latents: Tensor,
        condition: Condition | None = None,
        noise: int | None = None,
        truncation: float = 1.0,
        rows: Rows | None = None,
    ) -> None:
        self.generator = generator
        self.latents = latents
        self.condition = condition
        self.truncation = truncation
        self._noise = noise
        self._rows = rows or Rows.all(len(latents))
        self._made: tuple[Tensor, dict[str, Tensor]] | None = None  # images and maps of one pass

    @classmethod
    def draw(cls, generator: Generator, rng: torch.Generator, rows: Rows, truncation: float = 1.0) -> Taps:
        """Of random images, with random noise; all is drawn from ``rng``, for the whole batch."""
        device = next(generator.parameters()).device
        n = len(rows)
        latents = draw_rows(lambda k: generator.sample_latents(k, rng), n, rng)
        condition = None
        if classes := generator.n_conditions:
            labels = draw_rows(lambda k: torch.randint(classes, (k,), generator=rng), n, rng)
            condition = Condition(labels=labels).to(device)
        noise = int(torch.randint(2**62, (1,), generator=rng))
        return cls(generator, latents.to(device), condition, noise, truncation, rows)

    @torch.no_grad()
    def walk(self, layers: Sequence[str]) -> Taps:
        """Make images and these maps in one pass, for whoever asks for both."""
        rng = self._fresh()
        images, found = self.generator.images_and_features(
            self.latents, self.condition, layers, self.truncation, rng
        )
        self._made = images.float().clamp(-1, 1), {name: found[name].detach().float() for name in layers}
        return self

    @torch.no_grad()
    def images(self) -> Tensor:
        """(N, 3, H, W) in [-1, 1]."""
        if self._made is not None:
            return self._made[0]
        rng = self._fresh()
        fresh = {} if rng is None else {"rng": rng}
        images = self.generator.truncated(self.latents, self.condition, self.truncation, **fresh)
        return images.float().clamp(-1, 1)

    @torch.no_grad()
    def maps(self, layers: Sequence[str]) -> list[Tensor]:
        """[(N, C_l, h_l, w_l)] float32 of these layers, as far as they lie on the way to :meth:`images`."""
        if self._made is not None and set(layers) <= set(self._made[1]):
            found = self._made[1]
        else:
            rng = self._fresh()
            fresh = {} if rng is None else {"rng": rng}
            found = self.generator.features(
                self.latents, self.condition, layers, truncation=self.truncation, **fresh
            )
        # a constant is one map for all images
        n = len(self.latents)
        return [found[layer].detach().float().expand(n, -1, -1, -1) for layer in layers]

    def _fresh(self) -> torch.Generator | None:
        return None if self._noise is None else RowGenerator.of(self._noise, self._rows)


def drawn(generator: Generator, n: int, seed: int, *keys: str | int, truncation: float = 1.0) -> Taps:
    """Taps of n random images: a function of the seed and any names and counts."""
    rows = Rows.all(n)
    return Taps.draw(generator, RowGenerator.of(mix(seed, *keys), rows), rows, truncation)
