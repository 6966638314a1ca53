"""A game of small convolutional networks without batch statistics, in any precision: what several processes
must equal.

As a file also a plugin, so that configs may name the networks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from toy_games import optimisers

from toolbox import hookimpl
from toolbox.interfaces import Condition, Discriminator, Generator, Sample, draw_rows
from toolbox.training.game.game import Game

SIZE, CLASSES = 8, 3


class SmoothGenerator(Generator):
    """Labels and latents to images, with noise of its own."""

    def __init__(self, latent_dim: int = 4, classes: int = CLASSES) -> None:
        super().__init__()
        self.latent_dim, self.image_size, self.n_conditions = latent_dim, SIZE, classes
        self.embed = nn.Embedding(classes, latent_dim)
        self.linear = nn.Linear(latent_dim, 8 * 4 * 4)
        self.conv = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        assert condition is not None and condition.labels is not None
        x = latents.to(self.linear.bias) + self.embed(condition.labels)
        x = torch.tanh(self.linear(x)).unflatten(1, (8, 4, 4))
        return torch.tanh(self.conv(nn.functional.interpolate(x, scale_factor=2)))

    def generate(
        self, latents: Tensor, condition: Condition | None = None, rng: torch.Generator | None = None
    ) -> Sample:
        noise = draw_rows(lambda n: torch.randn(n, 1, SIZE, SIZE, generator=rng), len(latents), rng)
        sample = super().generate(latents, condition, rng)
        return sample.replace(images=(sample.images + 0.1 * noise.tanh().to(sample.images)) / 1.1)


class SmoothDiscriminator(Discriminator):
    """Convolutions and a class embedding."""

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, stride=2)
        self.linear = nn.Linear(8 * 4 * 4, 1)
        self.embed = nn.Embedding(classes, 8 * 4 * 4)

    def encode(self, images: Tensor) -> Tensor:
        return torch.tanh(self.conv(images.to(self.conv.bias))).flatten(1)

    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        assert condition is not None and condition.labels is not None
        return self.linear(features).squeeze(1) + (self.embed(condition.labels) * features).sum(1)


def smooth_game(
    dtype: torch.dtype = torch.float32,
    d: dict[str, Any] | None = None,
    g: dict[str, Any] | None = None,
    **changes: Any,
) -> Game:
    """Two discriminator steps, R1 every second iteration, one generator step; ``d`` and ``g`` add to the
    phases.
    """
    game = Game(
        **{
            **dict(
                networks=dict(
                    generator=dict(type=SmoothGenerator), discriminator=dict(type=SmoothDiscriminator)
                ),
                players=dict(discriminator=["discriminator"], generator=["generator"]),
                phases=[
                    dict(player="discriminator", objectives=["adversarial"], repeat=2, **(d or {})),
                    dict(player="discriminator", objectives=["r1"], every=2, **(d or {})),
                    dict(player="generator", **(g or {})),
                ],
                objectives=dict(
                    adversarial=dict(type="NonSaturatingAdversarial"), r1=dict(type="R1", gamma=1.0)
                ),
                conditioner=dict(type="ClassConditions", class_names=["a", "b", "c"]),
                augment=dict(type="DiffAugment", policy="color,translation,cutout"),
                average=dict(generator=dict(decay=0.9)),
                log_every=1,
            ),
            **changes,
        }
    )
    return game.to(dtype).train()


def whole_batch(iteration: int, n: int = 16) -> dict[str, Tensor]:
    """The batch of all ranks together."""
    rng = torch.Generator().manual_seed(iteration)
    return dict(
        images=torch.rand(n, 3, SIZE, SIZE, generator=rng) * 2 - 1,
        labels=torch.randint(CLASSES, (n,), generator=rng),
        index=torch.arange(n),
    )


def my_rows(batch: dict[str, Tensor], parts: int, rank: int, world: int) -> dict[str, Tensor]:
    """This rank's slice of each part, as the sampler gives it."""
    return {k: v.unflatten(0, (parts, world, -1))[:, rank].flatten(0, 1) for k, v in batch.items()}


def weights_after(game: Game, iterations: int, lr: float = 0.1, n: int = 16) -> dict[str, Tensor]:
    """Everything the game holds after some iterations of plain gradient descent on this rank's rows."""
    from toolbox import ranks

    wrappers = optimisers(game, lr)
    for iteration in range(iterations):
        batch = whole_batch(iteration, n)
        batch["images"] = batch["images"].to(next(game.parameters()).dtype)
        game.train_step(my_rows(batch, game.repeats, ranks.rank(), ranks.world()), wrappers)
    return {name: value.detach().clone() for name, value in game.state_dict().items()}


def largest_difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Over all entries."""
    return max(
        float((one[name].double() - other[name].double()).abs().max()) for name in one if one[name].numel()
    )


@hookimpl
def register_components(register: Callable[[str, str, str], None]) -> None:
    register("generator", "SmoothGenerator", "smooth_games:SmoothGenerator")
    register("discriminator", "SmoothDiscriminator", "smooth_games:SmoothDiscriminator")
