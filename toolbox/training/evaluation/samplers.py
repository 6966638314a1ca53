"""What is measured: images of the game's generator, and beside them, for pairs, those of a source."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolbox.catalog import near_miss
from toolbox.config import ConfigError
from toolbox.interfaces import Metric
from toolbox.training.game.sampler import SOURCE, Sampled, Sampler


def sampler_of(
    game: Sampled, settings: Mapping[str, Any], seed: int = 0, source: str | None = None
) -> Sampler:
    """Images as an ``evaluation`` says (``bn``, ``truncation``); of another network where one is named.

    Raises:
        ConfigError: for a generator that cannot be truncated, or a network that is none.
    """
    truncation = float(settings.get("truncation", 1.0))
    try:
        return Sampler(game, seed, settings.get("bn", "running"), truncation=truncation, generator=source)
    except ValueError as error:
        raise ConfigError(f"evaluation.{'truncation' if source is None else 'source'}: {error}") from error


def source_of(game: Sampled, settings: Mapping[str, Any], metrics: Mapping[str, Metric]) -> Sampler | None:
    """The sampler of the other image of each pair; None where no metric needs pairs.

    Raises:
        ConfigError: for a network that is not there, is no generator, or makes images of another size.
    """
    asking = [name for name, metric in metrics.items() if "pairs" in metric.needs]
    if not asking:
        return None
    name = settings.get("source") or SOURCE
    if name not in game.networks:
        known = list(game.networks)
        raise ConfigError(
            f"evaluation.metrics.{asking[0]} compares pairs of images, and the game has no network {name!r} "
            f"to make the other one of each{near_miss(name, known)}: set evaluation.source to a generator, "
            f"or leave it out, metrics=dict({asking[0]}=None); networks: {', '.join(known)}"
        )
    sampler = sampler_of(game, settings, source=name)
    sizes = [getattr(game.network(own), "image_size", None) for own in (name, game.generator)]
    if sizes[0] != sizes[1]:
        raise ConfigError(
            f"evaluation.source={name!r} makes images of {sizes[0]} pixels, {game.generator!r} of "
            f"{sizes[1]}: pairs are of one size"
        )
    return sampler


def at_truncation(name: str, truncation: float) -> str:
    """A result's name, with the truncation that it was measured at: ``fid[clip,2k,truncation=0.7].std``."""
    option = f"truncation={truncation:g}"
    head, bracket, rest = name.rpartition("]")
    if bracket:
        return f"{head},{option}]{rest}"
    own, dot, part = name.partition(".")
    return f"{own}[{option}]{dot}{part}"
