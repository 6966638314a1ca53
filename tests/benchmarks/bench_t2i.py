"""Text-to-image games and their terms against plain loops of the same work: ratios of processor time.

The other side of an iteration is in plain_text_games.py, the games are in text_games.py. They are of reduced
sizes, as their titles say; TOOLBOX_BENCH_FULL=1 takes the published ones, minutes each.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.benchmarks.bench_networks import both_ways
from tests.benchmarks.pairs import measure
from tests.benchmarks.plain_text_games import caption_by_caption, in_default_layout, plain_iteration, twin
from tests.benchmarks.text_games import BATCH, built
from toolbox.interfaces import TextCodes
from toolbox.losses.damsm import word_scores
from toolbox.training.game.game import Game

FULL = os.environ.get("TOOLBOX_BENCH_FULL", "0") == "1"
REDUCED = {
    "attngan": "AttnGAN of CUB at 128 pixels",
    "dmgan": "DM-GAN of CUB at 128 pixels",
    "ssagan": "SSA-GAN of 32 channels at 128 pixels",
    "galip": "GALIP at 112 pixels, CLIP half as wide",
}
PUBLISHED = {
    "attngan": "AttnGAN of CUB, full size (authors' code elsewhere: 13.6 s)",
    "dmgan": "DM-GAN of CUB, full size (authors' code elsewhere: 16.2 s)",
    "ssagan": "SSA-GAN, full size (authors' code elsewhere: 61.6 s)",
    "galip": "GALIP, full size (authors' code elsewhere: 17.1 s)",
}


@pytest.mark.parametrize("model", REDUCED)
def test_iteration(model: str, benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """A step of the discriminators and of the generator, through the game and through a plain loop."""
    game, optimizers, batch = built(model, FULL)
    check_twins(game)
    plain = plain_iteration(game, model, batch, FULL)
    named = (PUBLISHED if FULL else REDUCED)[model]
    title = f"iteration of {named}, batch {BATCH}, against a plain loop of the authors' steps"
    ours = lambda: game.train_step(batch, optimizers)  # noqa: E731
    measure(title, ours, plain, benchmark, capsys, repeats=1 if FULL else 3)


@torch.no_grad()
def check_twins(game: Game) -> None:
    """Ours and the plain networks make the same of the same."""
    generator = game.generator_network()
    rng = torch.Generator().manual_seed(0)
    latents, condition = game.draw(2, rng)

    def same(network: Any, make: Any) -> None:
        found: list[Tensor] = []
        network.eval()
        other = twin(network)
        in_default_layout(lambda: found.append(make(other)))()
        torch.testing.assert_close(make(network), found[0], atol=1e-4, rtol=1e-4)
        network.train()

    same(generator, lambda network: network(latents, condition))
    for name in game.players["discriminator"]:
        judge: Any = game.network(name)
        images = torch.randn(2, 3, getattr(judge, "image_size", 64), getattr(judge, "image_size", 64))
        same(judge, lambda network, images=images: network(images, condition))


@pytest.mark.parametrize("batch", [10, 20])
def test_matching_of_words(batch: int, benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rng = torch.Generator().manual_seed(0)
    regions = torch.randn(batch, 256, 17, 17, generator=rng)
    words = torch.randn(batch, 256, 18, generator=rng)
    lengths = torch.randint(8, 19, (batch,), generator=rng)

    def codes(words: Tensor) -> TextCodes:
        return TextCodes(words.mean(dim=2), words, lengths)

    def together(regions: Tensor, words: Tensor) -> Tensor:
        return word_scores(regions, codes(words))

    def one_by_one(regions: Tensor, words: Tensor) -> Tensor:
        return caption_by_caption(regions, codes(words))

    torch.testing.assert_close(together(regions, words), one_by_one(regions, words))
    ours, theirs = both_ways(together, regions, words), both_ways(one_by_one, regions, words)
    title = f"DAMSM: {batch} captions and images, batched against caption by caption"
    measure(title, ours, theirs, benchmark, capsys, repeats=5)
