"""Text-to-image terms against the same mathematics written out plainly: ratios of processor time, both ways.

The other side is in this file: DAMSM's scores of words, one caption at a time.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.benchmarks.bench_networks import both_ways
from tests.benchmarks.pairs import measure
from toolbox.interfaces import TextCodes
from toolbox.losses.damsm import word_scores


def caption_by_caption(regions: Tensor, words: Tensor, lengths: Tensor) -> Tensor:
    """(I, T): each caption without its padding, against all images."""
    flat, columns = regions.flatten(2), []
    for text, length in zip(words, lengths.tolist(), strict=True):
        own = text[:, :length].expand(len(flat), -1, -1)  # (I, D, L)
        shares = (flat.transpose(1, 2) @ own).softmax(dim=2)  # (I, R, L)
        seen = flat @ (4.0 * shares).softmax(dim=1)  # (I, D, L)
        columns.append((5.0 * F.cosine_similarity(seen, own, dim=1)).logsumexp(dim=1))
    return torch.stack(columns, dim=1)


@pytest.mark.parametrize("batch", [10, 20])
def test_matching_of_words(batch: int, benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    rng = torch.Generator().manual_seed(0)
    regions = torch.randn(batch, 256, 17, 17, generator=rng)
    words = torch.randn(batch, 256, 18, generator=rng)
    lengths = torch.randint(8, 19, (batch,), generator=rng)

    def together(regions: Tensor, words: Tensor) -> Tensor:
        return word_scores(regions, TextCodes(words.mean(dim=2), words, lengths))

    def one_by_one(regions: Tensor, words: Tensor) -> Tensor:
        return caption_by_caption(regions, words, lengths)

    torch.testing.assert_close(together(regions, words), one_by_one(regions, words))
    ours, theirs = both_ways(together, regions, words), both_ways(one_by_one, regions, words)
    title = f"DAMSM: {batch} captions and images, batched against caption by caption"
    measure(title, ours, theirs, benchmark, capsys, repeats=5)
