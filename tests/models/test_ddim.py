"""DDIM: the schedule, its chains, and that inversion and rendering undo each other."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from toolbox.models.ddim import DDIM


def test_the_schedule_is_the_published_one() -> None:
    """Linear betas from 1e-4 to 0.02; values of the authors' code."""
    found = DDIM().alphas[[0, 499, 999]]
    published = torch.tensor([0.9999, 0.0785872429, 4.03582977e-05], dtype=torch.float64)
    torch.testing.assert_close(found, published, rtol=1e-8, atol=0)


def test_chains() -> None:
    assert DDIM().chain(4) == [0, 250, 500, 750]  # strides, where steps divide T
    assert DDIM().chain(6) == [0, 166, 333, 500, 666, 833]
    assert DDIM().chain(1) == [0]
    for steps in (0, 1001, 2.5, True):
        with pytest.raises(ValueError, match=r"steps=.* must be a whole number from 1 to 1000"):
            DDIM().chain(steps)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"first=0.03, last=0.02 must be 0 < first <= last < 1"):
        DDIM(first=0.03)


def gaussian(ddim: DDIM, mean: float, deviation: float) -> object:
    """The noise seen in images that are N(mean, deviation^2), by Bayes."""

    def noise(x: Tensor, steps: Tensor) -> Tensor:
        a = ddim.alphas[steps].to(x)[:, None, None, None]
        return (1 - a).sqrt() * (x - a.sqrt() * mean) / (a * deviation**2 + 1 - a)

    return noise


@pytest.mark.parametrize("clip", [True, False])
def test_rendering_undoes_inversion(clip: bool) -> None:
    """The better, the more steps; x_T of Gaussian images is a standard normal draw."""
    ddim = DDIM(clip=clip)
    noise = gaussian(ddim, 0.1, 0.2)
    images = 0.1 + 0.2 * torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    images.clamp_(-1, 1)
    errors = []
    for steps in (10, 50, 250):
        x = ddim.invert(noise, images, steps)  # type: ignore[arg-type]
        again = ddim.render(noise, x, steps)  # type: ignore[arg-type]
        errors.append(float((again - images).square().mean().sqrt()))
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.02
    assert abs(float(x.mean())) < 0.1 and abs(float(x.std()) - 1) < 0.1


def test_what_is_noised_is_found_again() -> None:
    ddim, rng = DDIM(), torch.Generator().manual_seed(1)
    images, noise = (torch.rand(2, 3, 4, 4, generator=rng) * 2 - 1 for _ in range(2))
    steps = torch.tensor([3, 800])
    x = ddim.noised(images, noise, steps)
    for i, step in enumerate(steps):
        alpha = float(ddim.alphas[step])
        torch.testing.assert_close(ddim.x0(x[i], noise[i], alpha), images[i], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(ddim.move(x[i], noise[i], alpha, 1.0), images[i], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(ddim.move(x[i], noise[i], alpha, 0.0), noise[i], rtol=1e-3, atol=1e-3)
