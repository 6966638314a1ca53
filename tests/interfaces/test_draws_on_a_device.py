"""Draws that a device makes for itself, played with the CPU as the device; and what travels in one copy."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor

from toolbox.interfaces import Condition, Conditioner, RowGenerator, Rows, Sample, moved, normal_rows
from toolbox.interfaces.draws import _in_blocks
from toolbox.interfaces.transfer import _packed
from toolbox.training.game.conditioners import ClassConditions

CPU = torch.device("cpu")


def noise(rows: Rows, n: int | None = None, draws: int = 1, seed: int = 3) -> list[Tensor]:
    """The draws that a process with some rows makes for itself."""
    rng = RowGenerator.of(seed, rows)
    return [_in_blocks(torch.randn, n or len(rows), (16, 16), rng, CPU) for _ in range(draws)]


def test_each_process_draws_its_own_rows_of_what_one_would_draw() -> None:
    whole = noise(Rows.all(24), draws=2)
    for start, stop in ((0, 12), (12, 24), (5, 6), (7, 17)):
        for one, part in zip(whole, noise(Rows(start, stop, 24), draws=2), strict=True):
            assert torch.equal(one[start:stop], part)


def test_draws_are_normal_and_no_two_are_alike() -> None:
    first, second = noise(Rows.all(64), draws=2)
    assert stats.kstest(first.flatten().numpy(), "norm").pvalue > 1e-3
    rows = torch.cat([first, second, *noise(Rows.all(64), seed=4)]).flatten(1)
    assert len(rows.unique(dim=0)) == 192
    assert torch.corrcoef(rows).fill_diagonal_(0).abs().max() < 0.35  # 256 numbers each: sigma 1/16


def test_real_and_generated_images_together_get_draws_of_their_own() -> None:
    both = noise(Rows(2, 6, 8), n=8)[0]
    assert both.shape == (8, 16, 16) and not torch.equal(both[:4], both[4:])
    with pytest.raises(ValueError, match="n=6 images were asked of a generator for 4 rows"):
        noise(Rows(2, 6, 8), n=6)


def test_on_a_cpu_draws_are_the_whole_batchs_as_ever() -> None:
    rng = RowGenerator.of(1, Rows(1, 3, 4))
    expected = torch.randn(4, 5, generator=torch.Generator().manual_seed(1))[1:3]
    assert torch.equal(normal_rows(2, 5, rng=rng, device=CPU), expected)


def test_another_device_makes_them_itself() -> None:
    drawn = normal_rows(4, 32, 32, rng=RowGenerator.of(1, Rows(0, 4, 8)), device=torch.device("meta"))
    assert drawn.device.type == "meta" and drawn.shape == (4, 32, 32)


def test_what_is_packed_arrives_as_it_was() -> None:
    tensors = [
        torch.arange(6, dtype=torch.uint8).view(2, 3),
        torch.tensor([True, False, True]),
        torch.tensor(2.5, dtype=torch.float64),
        torch.zeros(0, 4),
        torch.randn(3, 5).t(),
        torch.randn(7).half(),
        torch.tensor([2**40]),
    ]
    for before, after in zip(tensors, _packed(tensors, CPU), strict=True):
        assert before.dtype == after.dtype and torch.equal(before, after)


def test_records_move_whole() -> None:
    sample = Sample(
        torch.zeros(2, 3, 4, 4), Condition(labels=torch.zeros(2, dtype=torch.int64)), extras={"a": [1]}
    )
    there, number = moved((sample, 7), "meta")
    assert there.images.device.type == there.condition.labels.device.type == "meta"
    assert there.extras == {"a": [1]} and number == 7 and there.images.shape == (2, 3, 4, 4)


def test_tables_of_a_conditioner_stay_on_the_host_unless_it_says_otherwise() -> None:
    class Elsewhere(Conditioner):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("table", torch.zeros(3))

        def sample(self, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Condition:
            return Condition()

    host = torch.nn.ModuleList([ClassConditions(["a"]), Elsewhere()]).to("meta").double()
    assert host[0].labels.device.type == "cpu" and host[1].table.device.type == "meta"
    assert host[1].table.dtype == torch.float64
    assert ClassConditions(["a"]).double().labels.dtype == torch.int64
