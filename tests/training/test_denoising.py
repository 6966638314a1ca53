"""DenoisingLoss: its value, its contract, and what it refuses."""

from __future__ import annotations

import pytest
import torch

from tests.models.diffae_filled import SMALL, filled
from toolbox.interfaces import normal_rows, whole_rows
from toolbox.registry import build
from toolbox.testing import FakeTurn, check_objective, random_sample, small_networks
from toolbox.training.objectives.denoising import DenoisingLoss


def test_the_loss_is_the_error_of_the_noise() -> None:
    """At steps and with noise that the turn draws; z_sem's mean and deviation follow."""
    network, batch = filled(**SMALL).train(), random_sample(3, 8)
    found = DenoisingLoss().mean_square(FakeTurn("generator", dict(generator=network), batch))
    rng = FakeTurn("generator", dict(generator=network), batch).rng
    steps = whole_rows(0, 999, 3, rng=rng, device=torch.device("cpu"))
    noise = normal_rows(3, 3, 8, 8, rng=rng, device=torch.device("cpu"))
    style = network.encode(batch.images)
    seen = network.noise(network.ddim.noised(batch.images, noise, steps), steps, style)
    torch.testing.assert_close(found, (seen - noise).square().mean())
    torch.testing.assert_close(network.conds_mean, 0.01 * style.mean(0))
    spread = (0.99 + 0.01 * style.square().mean(0)).sqrt()
    torch.testing.assert_close(network.conds_std, spread)


def test_it_keeps_the_contract_of_objectives() -> None:
    networks = {**small_networks(), "generator": filled(**SMALL)}
    check_objective(build(dict(type="DenoisingLoss")), networks, random_sample(3, 8))


def test_another_network_is_refused() -> None:
    turn = FakeTurn("generator", small_networks(), random_sample(2))
    with pytest.raises(ValueError, match=r"generator='generator' is a .*; DenoisingLoss needs a DiffAE"):
        DenoisingLoss().mean_square(turn)
