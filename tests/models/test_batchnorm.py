"""BatchNorm statistics at evaluation: what each mode uses, and that nothing is left behind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from toolbox.interfaces import Condition
from toolbox.models.batchnorm import (
    batch_norms,
    batch_statistics,
    frozen_running_statistics,
    standing_statistics,
)
from toolbox.models.biggan import BigGANGenerator

LABELS = Condition(labels=torch.tensor([0, 1, 0, 1]))


@pytest.fixture
def generator() -> BigGANGenerator:
    torch.manual_seed(0)
    return BigGANGenerator(4, n_conditions=2, image_size=16, latent_dim=6, embedding_dim=5, attention=False)


def draw(number: int, n: int) -> tuple[Tensor, Condition]:
    rng = torch.Generator().manual_seed(number)
    return torch.randn(n, 6, generator=rng), Condition(labels=torch.randint(2, (n,), generator=rng))


def state(network: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


def settings(network: torch.nn.Module) -> list[tuple[object, ...]]:
    return [(norm.training, norm.track_running_stats, norm.momentum) for norm in batch_norms(network)]


@torch.no_grad()
@pytest.mark.parametrize("training", [False, True])
def test_batch_statistics_leave_nothing_behind(generator: BigGANGenerator, training: bool) -> None:
    generator.train(training)
    before, flags = state(generator), settings(generator)
    with pytest.raises(ValueError, match="latents have shape"):
        _fail_inside(generator)
    after = state(generator)
    assert settings(generator) == flags
    assert all(
        torch.equal(before[name], after[name]) for name in before if "running" in name or "tracked" in name
    )


def _fail_inside(generator: BigGANGenerator) -> None:
    with batch_statistics(generator):
        generator(torch.randn(4, 6), LABELS)
        generator(torch.randn(4, 5), LABELS)


@torch.no_grad()
def test_batch_statistics_depend_on_the_neighbours(generator: BigGANGenerator) -> None:
    z = torch.randn(4, 6)
    generator.eval()
    with batch_statistics(generator):
        assert not torch.allclose(generator(z[:2], LABELS[:2]), generator(z, LABELS)[:2], atol=1e-4)
    torch.testing.assert_close(generator(z[:2], LABELS[:2]), generator(z, LABELS)[:2], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_batch_statistics_normalise_by_the_batch(generator: BigGANGenerator) -> None:
    norm = batch_norms(generator.eval())[0]
    x = 5 + 3 * torch.randn(4, 16, 4, 4)
    with batch_statistics(generator):
        torch.testing.assert_close(norm(x).mean((0, 2, 3)), torch.zeros(16), atol=1e-5, rtol=0)
    torch.testing.assert_close(norm(x), x, atol=1e-2, rtol=1e-2)


@torch.no_grad()
def test_standing_statistics_are_the_average_over_batches(generator: BigGANGenerator) -> None:
    before, flags = state(generator), settings(generator)
    twin = standing_statistics(generator, draw, batches=3, batch=8)
    starts = [twin.linear0(draw(number, 8)[0][:, :2]).view(8, -1, 4, 4) for number in range(3)]
    means = torch.stack([start.mean((0, 2, 3)) for start in starts]).mean(0)
    variances = torch.stack([start.transpose(0, 1).flatten(1).var(1) for start in starts]).mean(0)
    norm = batch_norms(twin)[0]
    torch.testing.assert_close(norm.running_mean, means, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(norm.running_var, variances, atol=1e-6, rtol=1e-5)
    assert not any(module.training for module in twin.modules())
    assert norm.momentum == 0.1
    assert same(before, state(generator)) and settings(generator) == flags
    power = [name for name in before if name.endswith(("_u", "_v"))]
    assert all(torch.equal(before[name], state(twin)[name]) for name in power)


def test_standing_statistics_of_a_generator_that_has_trained(generator: BigGANGenerator) -> None:
    generator.train()(torch.randn(4, 6), LABELS).sum().backward()
    twin = standing_statistics(generator, draw, batches=1, batch=4)
    assert twin(torch.randn(4, 6), LABELS).shape == (4, 3, 16, 16)


@torch.no_grad()
def test_frozen_running_statistics(generator: BigGANGenerator) -> None:
    generator.train()
    before, z = state(generator), torch.randn(4, 6)
    with frozen_running_statistics(generator):
        frozen = generator(z, LABELS)
    after = state(generator)
    assert all(
        torch.equal(before[name], after[name]) for name in before if "running" in name or "tracked" in name
    )
    generator.load_state_dict(before)
    assert torch.equal(frozen, generator(z, LABELS))  # normalised by the batch, as in plain training mode
    assert not same(before, state(generator))


def test_errors(generator: BigGANGenerator) -> None:
    with pytest.raises(ValueError, match=r"batches=0, batch=256: standing statistics need at least"):
        standing_statistics(generator, draw, batches=0)
