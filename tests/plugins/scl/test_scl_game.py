"""Games of two branches: pre-training groups labels, and a generator learns through frozen encoders."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.plugins.scl.toy import ToyImages, ToyTexts
from toolbox.interfaces import Condition, Conditioner, Sample
from toolbox.metrics.functional import label_silhouette
from toolbox.testing.objectives import SmallDiscriminator, SmallGenerator
from toolbox.training.game.game import Game
from toolbox.training.game.optimizers import PlayerOptimizers
from toolbox_scl.objective import LabelContrast

CLASSES, WORDS = 4, 9
TOLD = 0.3  # share of captions that tell the class


class Captions(Conditioner):
    """Generated images are asked for the captions of the real ones."""

    def __init__(self, text_encoder: Any) -> None:
        super().__init__()
        self._encoder = [text_encoder]

    def of_real(self, real: Sample, rng: torch.Generator) -> Condition:
        return real.condition

    def complete(self, condition: Condition) -> Condition:
        return condition.replace(codes=self._encoder[0].encode_text(condition.text, None))

    def sample(self, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Condition:
        return Condition(text=torch.randint(WORDS, (n, 4), generator=rng))


PATTERNS = torch.randn(CLASSES, 3, 8, 8, generator=torch.Generator().manual_seed(5)).sign()


def items(labels: Tensor, rng: torch.Generator) -> dict[str, Any]:
    """Images with a faint pattern of their class and a brightness; captions tell both, the class rarely."""
    n = len(labels)
    bright = torch.randint(WORDS, (n, 1), generator=rng)
    noise = 0.3 * torch.randn(n, 3, 8, 8, generator=rng) + 0.05 * (bright[..., None, None] - WORDS / 2)
    images = (0.1 * PATTERNS[labels] + noise).clamp(-1, 1)
    told = labels[:, None].where(
        torch.rand(n, 1, generator=rng) < TOLD, torch.randint(WORDS, (n, 1), generator=rng)
    )
    text = torch.cat([bright, told], dim=1)
    return dict(images=images, text=text, labels=labels, index=torch.arange(n))


def batch(n: int, rng: torch.Generator) -> dict[str, Any]:
    labels = torch.randint(CLASSES, (n,), generator=rng)
    return dict(items(labels, rng), partner=items(labels, rng))


def optimisers(game: Any, lr: float) -> Any:
    return PlayerOptimizers({name: dict(optimizer=dict(type="Adam", lr=lr)) for name in game.players})(game)


def pretraining(**objectives: Any) -> Any:
    """A game of both encoders; DAMSM's sentences are matched."""
    networks = dict(image_encoder=dict(type=ToyImages), text_encoder=dict(type=ToyTexts))
    return Game(
        networks=networks,
        players=dict(encoders=list(networks)),
        phases=[dict(player="encoders")],
        objectives=dict(damsm=dict(type="DamsmPretraining", words=False), **objectives),
        branches=["images", "partner"],
    ).train()


def silhouette(weight: float) -> float:
    """Of image codes of new images by their labels, after some pre-training."""
    scl = dict(
        type=LabelContrast,
        teaches="image_encoder",
        text_encoder="text_encoder",
        temperature=0.2,
        weight=weight,
    )
    game = pretraining(scl=scl)
    wrappers, rng = optimisers(game, 1e-2), torch.Generator().manual_seed(0)
    for _ in range(40):
        game.train_step(batch(24, rng), wrappers)
    new = items(torch.arange(200) % CLASSES, torch.Generator().manual_seed(1))
    codes = game.network("image_encoder").encode_images(new["images"])[0]
    return label_silhouette(codes.detach().numpy(), new["labels"].numpy())


def test_pretraining_with_scl_sets_labels_apart() -> None:
    without = silhouette(0.0)
    assert silhouette(1.0) > without + 0.1


def gan(frozen: bool = True, **changes: Any) -> Any:
    encoders = dict(
        image_encoder=dict(type=ToyImages, frozen=frozen), text_encoder=dict(type=ToyTexts, frozen=frozen)
    )
    networks = dict(
        generator=dict(type=SmallGenerator), discriminator=dict(type=SmallDiscriminator), **encoders
    )
    arguments = dict(
        networks=networks,
        players=dict(discriminator=["discriminator"], generator=["generator"]),
        phases=[dict(player="discriminator"), dict(player="generator")],
        objectives=dict(adversarial=dict(type="HingeAdversarial"), scl=dict(type=LabelContrast, weight=0.2)),
        conditioner=dict(type=Captions, uses=dict(text_encoder="text_encoder")),
        branches=["images", "partner"],
        log_every=1,
    )
    return Game(**{**arguments, **changes}).train()


def test_a_generator_learns_through_frozen_encoders() -> None:
    game = gan()
    before = {name: value.clone() for name, value in game.state_dict().items()}
    logs = game.train_step(three_classes(12), optimisers(game, 1e-2))
    alone = gan(objectives=dict(adversarial=dict(type="HingeAdversarial")))
    alone.train_step(three_classes(12), optimisers(alone, 1e-2))
    after, other = game.state_dict(), alone.state_dict()
    moved = {name.split(".")[1] for name in networks_of(after) if not torch.equal(before[name], after[name])}
    assert "generator" in moved and not {"image_encoder", "text_encoder"} & moved
    assert logs["scl/generator"] > 0 and "scl/discriminator" not in logs
    name = "networks.generator.start.weight"
    assert not torch.equal(after[name], other[name])
    name = "networks.discriminator.linear.weight"  # its own turn has no such term
    assert torch.equal(after[name], other[name])


def networks_of(state: dict[str, Tensor]) -> list[str]:
    return [name for name in state if name.startswith("networks.")]


def three_classes(n: int) -> dict[str, Any]:
    """A batch for the small generator, which knows three classes."""
    made = batch(n, torch.Generator().manual_seed(0))
    for item in (made, made["partner"]):
        item["labels"] = made["labels"] % 3
    return made


def test_one_branch_is_refused_in_the_first_iteration() -> None:
    game = gan(branches=["images"])
    with pytest.raises(ValueError, match="compares two branches of a batch, the game has 1"):
        game.train_step(three_classes(12), optimisers(game, 1e-2))
