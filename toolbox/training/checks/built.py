"""Checking a game that is built: parts that each stand for themselves, and do not fit together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from toolbox.catalog import near_miss
from toolbox.config import ConfigError
from toolbox.data.classes import check_classes
from toolbox.interfaces import Condition, Discriminator, Generator
from toolbox.training.checkpoints import load_whole
from toolbox.training.game.phases import PlanError

if TYPE_CHECKING:
    from toolbox.training.game.game import Game

#: Loss terms that see no more of a condition than the discriminators do.
_OF_JUDGES = {f"toolbox.training.objectives.{name}" for name in ("adversarial", "regularisers")}


def check_built(game: Game, model: Mapping[str, Any], data: Any, rows: int) -> None:
    """Sizes and classes of a game's networks against those of its data; nothing is played.

    Args:
        game: the game.
        model: the config that it was built from, filled from the data.
        data: the training data.
        rows: of conditions that the conditioner draws from; 0 where there are no classes.

    Raises:
        ConfigError, PlanError: naming the network and what is expected.
    """
    item = data[0]
    images = item.get("images") if isinstance(item, Mapping) else None
    if isinstance(images, torch.Tensor) and images.ndim == 3:
        _check_image_size(game, images)
        _check_classifier(game, images, data)
    _check_conditions(game, model, rows, data)


def _generator(game: Game) -> nn.Module | None:
    """None in a game that generates nothing."""
    return game.network(game.generator) if game.generator in game.networks else None


def _check_image_size(game: Game, image: torch.Tensor) -> None:
    made = getattr(_generator(game), "image_size", None)
    height, width = image.shape[1:]
    if isinstance(made, int) and (height, width) != (made, made):
        raise ConfigError(
            f"the training data give images of {height} x {width} pixels, model.networks.{game.generator} "
            f"makes {made} x {made}: set image_size of the data set or of the networks"
        )


def _check_classifier(game: Game, image: torch.Tensor, data: Any) -> None:
    """The network that labels images must be there, and know the classes."""
    name = game.conditioner.classifier
    if name is None:
        return
    if name not in game.networks:
        raise PlanError(
            f"model.conditioner.classifier={name!r}: the game has no such network"
            f"{near_miss(name, game.networks)}; networks: {', '.join(game.networks)}"
        )
    network = game.network(name)
    with _looked_at(network):
        logits = network(image[None].to(game.device))
    expected = len(game.conditioner.class_names)
    if isinstance(logits, torch.Tensor) and logits.ndim == 2 and logits.shape[1] != expected:
        _check_class_names(game, data)
        raise ConfigError(
            f"model.networks.{name} (the conditioner's classifier) tells {logits.shape[1]} classes apart, "
            f"the data has {expected}: set n_classes='data:n_classes'"
        )


def _check_class_names(game: Game, data: Any) -> None:
    """Names that are not the data's: often the cause of numbers that do not fit."""
    if found := getattr(getattr(data, "source", None), "classes", None):
        try:
            check_classes(game.conditioner.class_names, found, "model.conditioner.class_names")
        except ValueError as error:
            raise ConfigError(str(error)) from None


@contextmanager
def _looked_at(network: nn.Module) -> Iterator[None]:
    """A network in eval mode, without gradients, that is as before afterwards."""
    training = network.training
    network.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        network.train(training)


def _check_conditions(game: Game, model: Mapping[str, Any], rows: int, data: Any) -> None:
    """As many rows of conditions as the conditioner draws from; more only where weights bring them."""
    network = _generator(game)
    if not rows or not isinstance(network, Generator):
        return
    has = network.n_conditions
    weights = model["networks"][game.generator].get("weights")
    if has and (has < rows or (has > rows and weights is None)):
        _check_class_names(game, data)
        raise ConfigError(
            f"model.networks.{game.generator} has n_conditions={has}, the conditioner draws from {rows} (of "
            f"{len(game.conditioner.class_names)} classes): set n_conditions='data:n_conditions'"
        )


def check_heeded(game: Game) -> list[str]:
    """A prepared game's networks look at the conditions that its conditioner draws.

    Returns:
        A line where no discriminator does.

    Raises:
        ConfigError: when the generator makes the same of every condition.
    """
    generator, classes = _generator(game), game.conditioner.class_names
    if not isinstance(generator, Generator) or len(classes) < 2:
        return []
    one, other = _two_classes(game)
    images = _made(generator, one)
    if not generator.n_conditions and torch.equal(images, _made(generator, other)):
        raise ConfigError(
            f"model.networks.{game.generator} makes the same images of every class, and model.conditioner "
            f"asks for {len(classes)} classes: set n_conditions='data:n_conditions', or take the conditioner "
            "out"
        )
    judges = {name: network for name, network in game.networks.items() if isinstance(network, Discriminator)}
    by_judges_alone = {type(term).__module__ for term in game.plan.objectives.values()} <= _OF_JUDGES
    if not by_judges_alone or any(_tells_apart(judge, images, one, other) for judge in judges.values()):
        return []
    return [f"no discriminator ({', '.join(judges)}) looks at the class: nothing teaches it to the generator"]


def _two_classes(game: Game) -> list[Condition]:
    """Two conditions of one image that differ in the class."""
    rng = torch.Generator().manual_seed(0)
    return [game.conditioner.sample(1, rng, torch.tensor([y])).to(game.device) for y in (0, 1)]


def _made(generator: Generator, condition: Condition) -> torch.Tensor:
    """One image, of always the same latents and noise."""
    rng = torch.Generator().manual_seed(0)
    with _looked_at(generator):
        latents = generator.sample_latents(1, rng).to(next(generator.parameters()).device)
        return generator.generate(latents, condition, rng).images


def _tells_apart(judge: Discriminator, images: torch.Tensor, one: Condition, other: Condition) -> bool:
    with _looked_at(judge):
        return not torch.equal(judge(images, one), judge(images, other))


def check_stage_weights(game: Game, model: Mapping[str, Any], earlier: Mapping[str, Game]) -> None:
    """Fill networks that start from an earlier stage with what that stage has, untrained: it must fit.

    Raises:
        CheckpointError: naming what differs.
    """
    for name, config in model["networks"].items():
        weights = (config or {}).get("weights")
        if isinstance(weights, Mapping) and weights.get("stage") in earlier:
            made = earlier[weights["stage"]].network(weights.get("network", name), averaged=True)
            where = f"weights of network {name!r} (stage {weights['stage']!r})"
            load_whole(game.network(name), dict(made.state_dict()), where)
