"""DiffAugment: each operation does what its definition says, and gradients pass."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from toolbox.models.diffaugment import DiffAugment, brightness, contrast, cutout, saturation, translation

OPERATIONS = [brightness, saturation, contrast, translation, cutout]


@pytest.fixture
def images() -> Tensor:
    return torch.rand(64, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_brightness(images: Tensor) -> None:
    shift = (brightness(images, rng()) - images).flatten(1)
    torch.testing.assert_close(shift, shift[:, :1].expand_as(shift))
    assert shift.min() >= -0.5 and shift.max() <= 0.5 and shift[:, 0].std() > 0.2


def test_saturation_keeps_the_grey_of_a_pixel(images: Tensor) -> None:
    changed = saturation(images, rng())
    grey = images.mean(1, keepdim=True)
    torch.testing.assert_close(changed.mean(1, keepdim=True), grey, atol=1e-5, rtol=0)
    factors = ((changed - grey) * (images - grey)).sum((1, 2, 3)) / (images - grey).pow(2).sum((1, 2, 3))
    torch.testing.assert_close(changed, (images - grey) * factors.view(-1, 1, 1, 1) + grey, atol=1e-4, rtol=0)
    assert factors.min() >= 0 and factors.max() <= 2 and factors.std() > 0.4


def test_contrast_keeps_the_mean_of_an_image(images: Tensor) -> None:
    changed = contrast(images, rng())
    torch.testing.assert_close(changed.mean((1, 2, 3)), images.mean((1, 2, 3)), atol=1e-5, rtol=0)
    factors = changed.std((1, 2, 3)) / images.std((1, 2, 3))
    assert factors.min() >= 0.5 and factors.max() <= 1.5 and factors.std() > 0.2


def test_translation(images: Tensor) -> None:
    """Every image is one of the 9 x 9 shifts by up to 4 pixels with zeros outside, and all
    directions occur.
    """
    padded, found = torch.nn.functional.pad(images, (4, 4, 4, 4)), []
    for i, moved in enumerate(translation(images, rng())):
        places = [
            (y, x)
            for y in range(9)
            for x in range(9)
            if torch.equal(padded[i, :, y : y + 32, x : x + 32], moved)
        ]
        assert len(places) == 1
        found.append(places[0])
    assert {y for y, _ in found} == {x for _, x in found} == set(range(9))


def test_cutout() -> None:
    """A square of 16, cut by the border where its centre is near it."""
    left = cutout(torch.ones(512, 3, 32, 32), rng())
    assert torch.equal(left[:, 0], left[:, 2]) and set(left.unique().tolist()) == {0, 1}
    heights = (left[:, 0] == 0).any(2).sum(1)
    widths = (left[:, 0] == 0).any(1).sum(1)
    assert torch.equal((left[:, 0] == 0).sum((1, 2)), heights * widths)
    assert set(heights.tolist()) == set(range(8, 17))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_differentiable(operation: Callable[[Tensor, torch.Generator], Tensor]) -> None:
    x = torch.rand(2, 3, 8, 8, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(lambda images: operation(images, rng()), (x,))


@pytest.mark.parametrize("operation", OPERATIONS)
def test_independent_parameters(
    operation: Callable[[Tensor, torch.Generator], Tensor], images: Tensor
) -> None:
    changed = operation(images[:1].repeat(8, 1, 1, 1), rng())
    assert len({tuple(image.flatten().tolist()) for image in changed}) > 4


def test_a_function_of_the_rng_alone(images: Tensor) -> None:
    augment = DiffAugment()
    first = augment(images, rng(3))
    torch.manual_seed(123)
    state = torch.get_rng_state()
    assert torch.equal(augment(images, rng(3)), first)
    assert torch.equal(torch.get_rng_state(), state)
    assert not torch.equal(augment(images, rng(4)), first)


def test_policies(images: Tensor) -> None:
    assert torch.equal(DiffAugment("")(images, rng()), images)
    expected = cutout(translation(images, rng_ := rng()), rng_)
    assert torch.equal(DiffAugment("translation, cutout")(images, rng()), expected)
    assert [f.__name__ for f in DiffAugment("color").operations] == ["brightness", "saturation", "contrast"]


def test_unknown_policy() -> None:
    with pytest.raises(
        ValueError, match=r"policy='color,cutuot': 'cutuot' is not an operation.*mean 'cutout'"
    ):
        DiffAugment("color,cutuot")
