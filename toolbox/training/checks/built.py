"""Checking a game that is built: parts that each stand for themselves, and do not fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from toolbox.catalog import near_miss
from toolbox.config import ConfigError
from toolbox.interfaces import Condition, Discriminator, Generator
from toolbox.training.checkpoints import load_whole
from toolbox.training.game.phases import PlanError
from toolbox.training.run.data_values import count_conditions

if TYPE_CHECKING:
    from toolbox.training.game.game import Game


def check_built(game: Game, model: Mapping[str, Any], data: Any) -> None:
    """Sizes and classes of a game's networks against those of its data; nothing is played.

    Args:
        game: the game.
        model: the config that it was built from, filled from the data.
        data: the training data.

    Raises:
        ConfigError, PlanError: naming the network and what is expected.
    """
    item = data[0]
    images = item.get("images") if isinstance(item, Mapping) else None
    if isinstance(images, torch.Tensor) and images.ndim == 3:
        _check_image_size(game, images)
        _check_classifier(game, images)
    _check_conditions(game, model)


def _check_image_size(game: Game, image: torch.Tensor) -> None:
    made = (
        getattr(game.networks[game.generator], "image_size", None)
        if game.generator in game.networks
        else None
    )
    height, width = image.shape[1:]
    if isinstance(made, int) and (height, width) != (made, made):
        raise ConfigError(
            f"the training data give images of {height} x {width} pixels, model.networks.{game.generator} makes "
            f"{made} x {made}: set image_size of the data set or of the networks"
        )


def _check_classifier(game: Game, image: torch.Tensor) -> None:
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
    with torch.no_grad():
        logits = _in_eval_mode(network, image[None].to(game.device))
    expected = len(game.conditioner.class_names)
    if isinstance(logits, torch.Tensor) and logits.ndim == 2 and logits.shape[1] != expected:
        raise ConfigError(
            f"model.networks.{name} (the conditioner's classifier) tells {logits.shape[1]} classes apart, the "
            f"data has {expected}: set n_classes='data:n_classes'"
        )


def _in_eval_mode(network: nn.Module, images: torch.Tensor) -> Any:
    training = network.training
    try:
        return network.eval()(images)
    finally:
        network.train(training)


def _check_conditions(game: Game, model: Mapping[str, Any]) -> None:
    """As many rows of conditions as the conditioner draws from; more only where weights bring them."""
    classes = list(game.conditioner.class_names)
    network = game.networks[game.generator] if game.generator in game.networks else None
    if not classes or not model.get("conditioner") or not isinstance(network, Generator):
        return
    rows = count_conditions(model["conditioner"], classes)
    has = network.n_conditions
    weights = model["networks"][game.generator].get("weights")
    if has and (has < rows or (has > rows and weights is None)):
        raise ConfigError(
            f"model.networks.{game.generator} has n_conditions={has}, the conditioner draws from {rows} (of "
            f"{len(classes)} classes): set n_conditions='data:n_conditions'"
        )


def check_heeded(game: Game) -> list[str]:
    """A prepared game's networks look at the conditions that its conditioner draws.

    Returns:
        A line where no discriminator does.

    Raises:
        ConfigError: when the generator makes the same of every condition.
    """
    if not game.conditioner.class_names or game.generator not in game.networks:
        return []
    generator = game.generator_network()
    conditions = _two_classes(game)
    if conditions is None:
        return []
    if not generator.n_conditions and _same(_images(game, condition) for condition in conditions):
        raise ConfigError(
            f"model.networks.{game.generator} makes the same images of every class, and model.conditioner asks "
            f"for {len(game.conditioner.class_names)} classes: set n_conditions='data:n_conditions', or take the "
            "conditioner out"
        )
    judges = {name: n for name, n in game.networks.items() if isinstance(n, Discriminator)}
    images = _images(game, conditions[0])
    if judges and all(_same(_judged(n, images, c) for c in conditions) for n in judges.values()):
        return [
            f"no discriminator looks at the class ({', '.join(judges)}): what it is asked for teaches a generator "
            "nothing, unless another loss term does"
        ]
    return []


def _two_classes(game: Game) -> Sequence[Condition] | None:
    """Two conditions of one image that differ in the class; None where there is one class."""
    if len(game.conditioner.class_names) < 2:
        return None
    rng = torch.Generator().manual_seed(0)
    return [game.conditioner.sample(1, rng, torch.tensor([y])).to(game.device) for y in (0, 1)]


@torch.no_grad()
def _images(game: Game, condition: Condition) -> torch.Tensor:
    network = game.generator_network()
    training = network.training
    rng = torch.Generator().manual_seed(0)
    try:
        latents = network.eval().sample_latents(1, rng).to(game.device)
        return network.generate(latents, condition, rng).images
    finally:
        network.train(training)


@torch.no_grad()
def _judged(network: Discriminator, images: torch.Tensor, condition: Condition) -> torch.Tensor:
    training = network.training
    try:
        return network.eval()(images, condition)
    finally:
        network.train(training)


def _same(values: Any) -> bool:
    first, second = values
    return torch.equal(first, second)


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
