"""What two generators of a game make of the same latents, one row under the other."""

from __future__ import annotations

import torch
from torch import Tensor

from toolbox.interfaces import Generator
from toolbox.training.game.sampler import SOURCE, Sampled, Sampler


def has_source(game: Sampled, source: str = SOURCE) -> bool:
    """Whether a game has this generator, of images as large as its own one's, beside that."""
    if source not in game.networks or source == game.generator:
        return False
    pair = [game.network(name) for name in (source, game.generator)]
    return all(isinstance(one, Generator) for one in pair) and pair[0].image_size == pair[1].image_size


def paired_sheet(
    sampler: Sampler, source: str = SOURCE, columns: int = 10, rows: int = 20
) -> tuple[Tensor, list[str]]:
    """:meth:`Sampler.sheet` with a row of the source's images above each row of its own.

    Returns:
        Images (2 * rows * columns, 3, H, W), clipped, and the name of each row.
    """
    made, names = sampler.sheet_of_samples(columns, rows)
    others = Sampler(sampler.game, bn=sampler.bn, truncation=sampler.truncation, generator=source)
    above = others.again(made).images.clamp(-1, 1)
    by_row = [images.unflatten(0, (-1, columns)) for images in (above, made.images.clamp(-1, 1))]
    titles = names or [""] * len(by_row[0])
    both = [
        f"{title}: {who}" if title else who for title in titles for who in (source, sampler.game.generator)
    ]
    return torch.stack(by_row, dim=1).flatten(0, 2), both
