"""Terms that couple the images of a batch, or leave some out: two processes equal one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pairs import run_pair
from torch import Tensor, nn
from torch.utils.data import Dataset

from toolbox import ranks, testing
from toolbox.interfaces import RowGenerator, Rows
from toolbox.losses.regularisers import gradient_penalty
from toolbox.losses.selected import mean_over_selected
from toolbox.registry import build


class Pairs(Dataset[dict[str, Any]]):
    """Random images with captions of 4 tokens (some alike), and labels of which most are hidden at the
    beginning.
    """

    def __len__(self) -> int:
        return 64

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        rng = torch.Generator().manual_seed(key[1])
        label = key[1] % 3 if key[0] % 8 < 3 else -1
        return dict(
            images=torch.rand(3, 4, 4, generator=rng),
            text=torch.full((4,), key[1] % 10),
            labels=label,
            index=key[1],
        )


class TinyClip(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.image, self.word = nn.Linear(48, 8), nn.Embedding(10, 8)
        self.logit_scale = nn.Parameter(torch.tensor(1.0))

    def encode_images(self, images: Tensor) -> Tensor:
        return self.image(images.flatten(1))

    def encode_tokens(self, ids: Tensor) -> Tensor:
        return self.word(ids).mean(1)


class TinyClassifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(48, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(images.flatten(1))


def clip_game() -> Any:
    return one_player("clip", TinyClip, "ImageTextContrastive")


def classifier_game() -> Any:
    return one_player("classifier", TinyClassifier, "CrossEntropy")


def one_player(name: str, network: type, objective: str) -> Any:
    return build(
        dict(
            type="Game",
            networks={name: dict(type=network)},
            players={name: [name]},
            phases=[dict(player=name)],
            objectives=dict(term=dict(type=objective)),
        ),
        "model",
    )


@pytest.mark.parametrize("make", [clip_game, classifier_game])
def test_two_processes_train_as_one(make: Any) -> None:
    testing.check_ranks(make, Pairs, tolerance=1e-6)


def mean_on_a_rank() -> tuple[Tensor, Tensor]:
    values = torch.arange(6, dtype=torch.float64, requires_grad=True)
    rows = slice(3 * ranks.rank(), 3 * ranks.rank() + 3) if ranks.running() else slice(None)
    selected = torch.tensor([True, False, False, True, True, False])[rows]
    mean = mean_over_selected(values[rows], selected)
    mean.backward()
    assert values.grad is not None
    return ranks.mean_over_ranks(mean), ranks.mean_over_ranks(values.grad)


def test_mean_over_selected() -> None:
    value, gradient = mean_on_a_rank()
    assert float(value.detach()) == (0 + 3 + 4) / 3
    for one_value, one_gradient in run_pair(mean_on_a_rank):
        assert torch.equal(one_value, value.detach()) and torch.equal(one_gradient, gradient)
    assert mean_over_selected(torch.ones(2), torch.zeros(2, dtype=torch.bool)) == 0


def test_the_gradient_penalty_of_a_part_interpolates_as_in_the_whole() -> None:
    real, fake = torch.rand(2, 4, 3, generator=torch.Generator().manual_seed(0))

    def penalty(rows: Rows) -> Tensor:
        return gradient_penalty(
            lambda x: x.pow(3).sum(1), real[rows.here], fake[rows.here], rng=RowGenerator.of(0, rows)
        )

    parts = torch.stack([penalty(Rows(0, 2, 4)), penalty(Rows(2, 4, 4))])
    torch.testing.assert_close(parts.mean(), penalty(Rows.all(4)))
