"""``toolbox sample SOURCE --prompts``: the words that are nearest to learnt prompts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolbox.catalog import CatalogError

if TYPE_CHECKING:
    from torch import Tensor

    from toolbox.interfaces import PromptLearner
    from toolbox.training.game.sampler import Sampled, Sampler

Words = list[list[tuple[str, float]]]  # of a prompt: for each slot the nearest words, with their distances


def prompt_table(sampler: Sampler, source: str | Path, n: int = 10) -> str:
    """Of every network that learns prompts a line a prompt: each slot's nearest word and its distance.

    Args:
        sampler: of the run.
        source: the run, whose config says which CLIP a network learns prompts for.
        n: prompts of a network that makes them from latents: those of images 0 to n - 1.
    """
    from toolbox.interfaces import PromptLearner

    lines: list[str] = []
    for name, network in sampler.game.networks.items():
        if isinstance(network, PromptLearner):
            lines += _own_lines(sampler, source, name, network, n)
        elif isinstance(prompts := getattr(network, "prompts", None), PromptLearner):
            lines += _lines_of_conditions(sampler.game, name, prompts.nearest_words(network.clip, top=1))
    if not lines:
        raise CatalogError("this run has no network that learns prompts")
    return "\n".join(lines)


def _own_lines(sampler: Sampler, source: str | Path, name: str, network: PromptLearner, n: int) -> list[str]:
    """Of a network that is a prompt learner itself."""
    import torch

    clip = _clip_of(sampler.game, source, name)
    with torch.no_grad():
        if network.n_prompts:
            return _written(name, _numbered("prompt", network.n_prompts), network.nearest_words(clip))
        words = network.nearest_words(clip, which=_style_latents(sampler, n))
    return _written(name, _numbered("image", n), words)


def _style_latents(sampler: Sampler, n: int) -> Tensor:
    """(n, style_dim) of images 0 to n - 1, by the source of an adaptation where there is one."""
    import torch

    from toolbox.interfaces import Generator
    from toolbox.training.game.sampler import SOURCE

    source = dict(sampler.game.networks.items()).get(SOURCE)
    generator = source if isinstance(source, Generator) else sampler.generator
    numbers, device = torch.arange(n), sampler.game.device
    condition = sampler.game.completed(sampler.conditions(numbers).to(device))
    return generator.style_latent(sampler.latents(numbers).to(device), condition)


def _clip_of(game: Sampled, source: str | Path, name: str) -> Any:
    """The text encoder that a network learns prompts for: the one that it borrows, or the game's only one."""
    encoders = [key for key, network in game.networks.items() if hasattr(network, "nearest_tokens")]
    borrowed = [key for key in _uses(source, name) if key in encoders]
    for found in (borrowed, encoders):
        if len(found) == 1:
            return game.network(found[0])
    raise CatalogError(
        f"{name} learns prompts, and which network encodes them cannot be told: the run has "
        f"{', '.join(encoders) or 'none that can'}"
    )


def _uses(source: str | Path, name: str) -> list[str]:
    from toolbox.loading import config_of

    networks: Mapping[str, Any] = config_of(source).model.networks
    return list(((networks.get(name) or {}).get("uses") or {}).values())


def _lines_of_conditions(game: Sampled, name: str, words: list[Words]) -> list[str]:
    """Prompts that stand for conditions are called by their names; those of no condition are left out."""
    names = game.conditioner.names()
    if len(names) != len(words):
        return _written(name, _numbered("prompt", len(words)), words)
    rows = _trained_rows(game)
    return _written(name, [names[row] for row in rows], [words[row] for row in rows])


def _written(name: str, titles: Iterable[str], words: list[Words]) -> list[str]:
    lines = []
    for title, slots in zip(titles, words, strict=True):
        nearest = [slot[0] for slot in slots if slot]
        shown = " ".join(f"{word} ({distance:.2f})" for word, distance in nearest)
        lines.append(f"{name}  {title}: {shown}")
    return lines


def _numbered(what: str, n: int) -> list[str]:
    return [f"{what} {number}" for number in range(n)]


def _trained_rows(game: Sampled) -> list[int]:
    """Rows of the condition that can be asked for alone; all where there are no modes."""
    modes = game.conditioner.modes()
    if modes is None or modes.weights is None:
        return list(range(len(game.conditioner.names())))
    return modes.weights.argmax(dim=1).tolist()
