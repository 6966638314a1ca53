"""Linear networks whose games can be computed by hand; as a file also a plugin, so that configs may name
them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from toolbox import hookimpl
from toolbox.interfaces import Condition, Discriminator, Generator, Objective, Turn
from toolbox.training.game.game import Game
from toolbox.training.game.optimizers import PlayerOptimizers

PIXELS = 12  # of a 2 x 2 RGB image


class ToyGenerator(Generator):
    """images = W z + b, with an optional BatchNorm; ``bounded`` puts them into [-1, 1]."""

    def __init__(
        self,
        latent_dim: int = 2,
        image_size: int = 2,
        n_conditions: int = 0,
        norm: bool = False,
        bounded: bool = False,
    ) -> None:
        super().__init__()
        self.latent_dim, self.image_size, self.n_conditions = latent_dim, image_size, n_conditions
        self.linear = nn.Linear(latent_dim + n_conditions, 3 * image_size**2)
        self.norm = nn.BatchNorm1d(3 * image_size**2) if norm else nn.Identity()
        self.bound = nn.Tanh() if bounded else nn.Identity()

    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        if self.n_conditions and condition is not None and condition.labels is not None:
            latents = torch.cat(
                [latents, nn.functional.one_hot(condition.labels, self.n_conditions).to(latents)], 1
            )
        return self.bound(self.norm(self.linear(latents))).unflatten(1, (3, self.image_size, self.image_size))


class ToyDiscriminator(Discriminator):
    """D(x) = <w, x>."""

    def __init__(self, image_size: int = 2) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * image_size**2, 1, bias=False)

    def encode(self, images: Tensor) -> Tensor:
        return images.flatten(1)

    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        return self.linear(features).squeeze(1)


class ToyBorrower(nn.Module):
    """A network that borrows another."""

    def __init__(self, other: nn.Module | None = None) -> None:
        super().__init__()
        self.own = nn.Linear(2, 2)
        self.borrowed = [other]  # in a list: borrowed, not owned


class Mean(Objective):
    """factor * mean D(G(z)); with ``broken`` NaN from that iteration on."""

    def __init__(
        self, network: str = "discriminator", factor: float = 1.0, broken: int | None = None
    ) -> None:
        super().__init__()
        self.network_name, self.factor, self.broken = network, factor, broken

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        return {self.network_name: self.loss}

    def loss(self, turn: Turn) -> Tensor:
        value = self.factor * turn.score("discriminator", turn.fake).mean()
        return value * float("nan") if self.broken is not None and turn.iteration >= self.broken else value


class Probe(Objective):
    """A loss of 0 * D(G(z)) that remembers each turn it saw."""

    def __init__(self, network: str = "discriminator") -> None:
        super().__init__()
        self.network_name = network
        self.turns: list[dict[str, Any]] = []

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        return {self.network_name: self.loss}

    def loss(self, turn: Turn) -> Tensor:
        self.turns.append(
            dict(
                player=turn.player,
                iteration=turn.iteration,
                kimg=turn.kimg,
                real=turn.real.images.clone(),
                fake=turn.fake.images.detach().clone(),
                draw=torch.rand((), generator=turn.rng),
            )
        )
        return 0 * turn.score("discriminator", turn.fake).sum()


BOTH = dict(generator=dict(type=ToyGenerator), discriminator=dict(type=ToyDiscriminator))
PLAYERS = dict(discriminator=["discriminator"], generator=["generator"])
ORDER = [dict(player="discriminator"), dict(player="generator")]


def toy_game(**changes: Any) -> Game:
    """A Wasserstein game of the two linear networks."""
    arguments = dict(
        networks=BOTH,
        players=PLAYERS,
        phases=ORDER,
        objectives=dict(adversarial=dict(type="WassersteinAdversarial")),
        log_every=1,
    )
    return Game(**{**arguments, **changes}).train()


def optimisers(game: Game, lr: float = 0.1, **changes: Any) -> Any:
    """Plain gradient descent for every player."""
    return PlayerOptimizers(
        {name: dict(optimizer=dict(type="SGD", lr=lr), **changes) for name in game.players}
    )(game)


def batch(n: int = 4, seed: int = 0, size: int = 2) -> dict[str, Tensor]:
    """Random images with labels and numbers."""
    rng = torch.Generator().manual_seed(seed)
    return dict(
        images=torch.rand(n, 3, size, size, generator=rng) * 2 - 1,
        labels=torch.randint(2, (n,), generator=rng),
        index=torch.arange(n),
    )


def play(game: Game, iterations: int = 1, n: int = 4, lr: float = 0.1) -> list[dict[str, Tensor]]:
    """Some iterations; the logs."""
    wrappers = optimisers(game, lr)
    return [game.train_step(batch(n, seed=int(game.iteration)), wrappers) for _ in range(iterations)]


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """A copy of all parameters and buffers."""
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


@hookimpl
def register_components(register: Callable[[str, str, str], None]) -> None:
    for kind, name in (
        ("generator", "ToyGenerator"),
        ("discriminator", "ToyDiscriminator"),
        ("network", "ToyBorrower"),
        ("objective", "Mean"),
        ("objective", "Probe"),
    ):
        register(kind, name, f"toy_games:{name}")
