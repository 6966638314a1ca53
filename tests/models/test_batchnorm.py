"""BatchNorm statistics at evaluation: what each mode uses, and that nothing is left behind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from toolbox.interfaces import Condition
from toolbox.models.batchnorm import (
    accumulate_statistics,
    batch_norms,
    batch_statistics,
    evaluation_statistics,
    frozen_running_statistics,
    standing_statistics,
)
from toolbox.models.biggan import BigGANGenerator

LABELS = Condition(labels=torch.tensor([0, 1, 0, 1]))


@pytest.fixture
def generator() -> BigGANGenerator:
    torch.manual_seed(0)
    return BigGANGenerator(4, n_conditions=2, image_size=16, latent_dim=6, embedding_dim=5, attention=False)


def sampler(n: int) -> tuple[Tensor, Condition]:
    rng = torch.Generator().manual_seed(n)
    return torch.randn(n, 6, generator=rng), Condition(labels=torch.randint(2, (n,), generator=rng))


def state(network: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return all(torch.equal(a[name], b[name]) for name in a)


@torch.no_grad()
@pytest.mark.parametrize("mode", ["running", "batch", "standing"])
def test_everything_is_as_before_afterwards(generator: BigGANGenerator, mode: str) -> None:
    before, modes = state(generator), [m.training for m in generator.modules()]
    with evaluation_statistics(generator, mode, sampler, batches=2, batch=4):
        generator(torch.randn(4, 6), LABELS)
    assert same(before, state(generator))
    assert modes == [m.training for m in generator.modules()]
    assert all(norm.track_running_stats and norm.momentum == 0.1 for norm in batch_norms(generator))


@torch.no_grad()
def test_restored_after_an_error(generator: BigGANGenerator) -> None:
    before = state(generator)
    with pytest.raises(RuntimeError, match="stop"), standing_statistics(generator.eval(), sampler, 1, 4):
        raise RuntimeError("stop")
    assert same(before, state(generator))


@torch.no_grad()
def test_batch_statistics_depend_on_the_neighbours(generator: BigGANGenerator) -> None:
    z = torch.randn(4, 6)
    with evaluation_statistics(generator, "batch"):
        alone = generator(z[:2], LABELS[:2])
        together = generator(z, LABELS)[:2]
    assert not torch.allclose(alone, together, atol=1e-4)
    with evaluation_statistics(generator, "running"):
        torch.testing.assert_close(generator(z[:2], LABELS[:2]), generator(z, LABELS)[:2], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_batch_statistics_equal_training_mode(generator: BigGANGenerator) -> None:
    """Apart from the power iteration, which training mode would do."""
    z = torch.randn(4, 6)
    norm = batch_norms(generator)[0]
    with batch_statistics(generator.eval()):
        seen = generator.linear0(z[:, :2]).view(4, -1, 4, 4)
        torch.testing.assert_close(norm(seen).mean((0, 2, 3)), torch.zeros(seen.shape[1]), atol=1e-5, rtol=0)


@torch.no_grad()
def test_standing_statistics_are_the_average_over_batches(generator: BigGANGenerator) -> None:
    generator.eval()
    first = generator.linear0(sampler(8)[0][:, :2]).view(8, -1, 4, 4)
    accumulate_statistics(generator, sampler, batches=3, batch=8)  # this sampler draws the same batch each time
    norm = batch_norms(generator)[0]
    torch.testing.assert_close(norm.running_mean, first.mean((0, 2, 3)), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(norm.running_var, first.transpose(0, 1).flatten(1).var(1), atol=1e-6, rtol=1e-5)


@torch.no_grad()
def test_frozen_running_statistics(generator: BigGANGenerator) -> None:
    generator.train()
    before, z = state(generator), torch.randn(4, 6)
    with frozen_running_statistics(generator):
        frozen = generator(z, LABELS)
    after = state(generator)
    assert all(torch.equal(before[name], after[name]) for name in before if "running" in name or "tracked" in name)
    generator.load_state_dict(before)
    assert torch.equal(frozen, generator(z, LABELS))  # normalised by the batch, as in plain training mode
    assert not same(before, state(generator))


def test_errors(generator: BigGANGenerator) -> None:
    with pytest.raises(ValueError, match=r"'standin' are not known.*did you mean 'standing'"):
        evaluation_statistics(generator, "standin").__enter__()
    with pytest.raises(ValueError, match=r"'standing' need a sampler"):
        evaluation_statistics(generator, "standing").__enter__()
    with pytest.raises(ValueError, match=r"batches=0, batch=256: standing statistics need at least"):
        standing_statistics(generator, sampler, batches=0).__enter__()
