"""Masks beside images: what moves pixels moves both, what cannot is refused, what does not fit is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from toolbox.data.base import ArraySet, DataError
from toolbox.data.drawn import DrawnPortraits
from toolbox.data.relabelled import Subset
from toolbox.data.stream import Stream, generator
from toolbox.data.transforms import BlurAndNoise, PhotometricDistortion
from toolbox.registry import BuildError, build
from toolbox.training.run.data_values import fill_from_data

SIZE = 16


class Quarters(ArraySet):
    """Grey level 60 x part + 20; the part is a function of the place, other in every image."""

    part_names = ("a", "b", "c", "d")

    def __init__(self, masks: np.ndarray | None = None) -> None:
        rng = np.random.default_rng(0)
        self.masks = rng.integers(0, 4, (5, SIZE, SIZE)).astype(np.uint8) if masks is None else masks
        shown = np.zeros((5, SIZE, SIZE), dtype=np.uint8) if masks is not None else self.masks * 60 + 20
        super().__init__(np.repeat(shown[..., None], 3, axis=3), [0] * 5, ["any"])

    def mask(self, i: int) -> np.ndarray:
        return self.masks[i]


def parts_shown(images: torch.Tensor) -> torch.Tensor:
    """The part that a grey level stands for."""
    return ((images[0].float() - 20) / 60).round().long()


@pytest.mark.parametrize(
    "transforms",
    [
        [],
        [dict(type="HorizontalFlip")],
        [dict(type="WeakAugment", shift=0.2)],
        [
            dict(type="WeakAugment"),
            dict(type="PhotometricDistortion", brightness=6, contrast=0.05, saturation=0, hue=0),
        ],
    ],
    ids=lambda transforms: "+".join(transform["type"] for transform in transforms) or "none",
)
def test_the_mask_moves_with_the_image(transforms: list[dict[str, Any]]) -> None:
    """What is drawn tells the part of each pixel: image and mask must agree after any transform, which must
    have moved some.
    """
    stream, moved = Stream(Quarters(), transforms=transforms, masks=True), 0
    for position in range(20):
        item = stream[position, position % 5]
        assert item["mask"].dtype == torch.int64 and item["mask"].shape == (SIZE, SIZE)
        assert torch.equal(parts_shown(item["images"]), item["mask"])
        moved += not np.array_equal(item["mask"], stream.source.mask(position % 5))
    assert bool(moved) == bool(transforms)


def test_an_image_is_the_same_with_and_without_its_mask() -> None:
    changes = [dict(type="WeakAugment"), dict(type="BlurAndNoise")]
    with_masks, without = (
        Stream(Quarters(), transforms=changes, masks=masks, seed=3) for masks in (True, False)
    )
    for i in range(5):
        assert torch.equal(with_masks[i]["images"], without[i]["images"]) and "mask" not in without[i]


def test_masks_of_views_and_of_portraits() -> None:
    data = DrawnPortraits(images=4)
    view = Subset(data, [2, 0])
    assert np.array_equal(view.mask(0), data.mask(2)) and view.part_names == data.part_names
    assert fill_from_data(dict(parts="data:part_names"), Stream(data)) == dict(parts=list(data.part_names))


def test_transforms_that_leave_masks_behind_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"StrongAugment does not take masks along.*take HorizontalFlip, WeakAugment"
    ):
        Stream(Quarters(), transforms=[dict(type="StrongAugment")], masks=True)
    with pytest.raises(BuildError, match="TwoViews does not take masks along"):
        build(
            dict(
                type="Stream",
                source=dict(type="DrawnPortraits", images=2),
                masks=True,
                transforms=[dict(type="TwoViews")],
            )
        )


def test_masks_that_do_not_fit() -> None:
    with pytest.raises(DataError, match=r"Fashion.* has no masks: take a data set that has them"):
        Stream(dict(type="EmbeddedFashion"), masks=True)
    with pytest.raises(DataError, match=r"the mask of image 0 has shape \(8, 8\), the image has \(16, 16\)"):
        Stream(Quarters(np.zeros((5, 8, 8), dtype=np.uint8)), masks=True)
    masks = np.zeros((5, SIZE, SIZE), dtype=np.uint8)
    masks[3, 0, 0] = 4
    stream = Stream(Quarters(masks), masks=True)
    with pytest.raises(
        DataError,
        match=r"the mask of image 3 has part 4, but there are 4 part names \(parts must be 0 to 3\)",
    ):
        stream[3]


def test_photometric_distortion_changes_what_it_says() -> None:
    """Brightness shifts all channels alike; a hue turn and saturation keep the brightness; p=0 changes
    nothing.
    """
    image = np.random.default_rng(0).integers(90, 160, (8, 8, 3)).astype(np.uint8)
    rng = generator(0, 1)
    shift = PhotometricDistortion(20, 0, 0, 0, p=1)(image, rng).astype(int) - image
    assert np.ptp(shift) <= 1 and 0 < abs(shift.mean()) <= 20
    turned = PhotometricDistortion(0, 0, 0.5, 40, p=1)(image, rng).astype(float)
    grey = np.array([0.299, 0.587, 0.114])
    assert np.abs((turned - image) @ grey).max() < 1.5 and np.abs(turned - image).max() > 5
    assert np.array_equal(PhotometricDistortion(p=0)(image, rng), image)
    assert np.array_equal(
        PhotometricDistortion()(image, generator(7)), PhotometricDistortion()(image, generator(7))
    )


def test_blur_and_noise_are_bounded() -> None:
    flat = np.full((32, 32, 3), 128, dtype=np.uint8)
    assert np.array_equal(BlurAndNoise(blur=2, noise=0)(flat, generator(0)), flat)
    noisy = BlurAndNoise(blur=0, noise=10)(flat, generator(0)).astype(float)
    assert 0 < noisy.std() < 12 and abs(noisy.mean() - 128) < 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (dict(type="PhotometricDistortion", hue=200), r"hue=200 must be a number in \[0, 180\]"),
        (dict(type="PhotometricDistortion", p=2), r"p=2 must be a number in \[0, 1\]"),
        (dict(type="BlurAndNoise", blur=-1), "blur=-1 must be a number of 0 or more"),
    ],
)
def test_strengths_that_cannot_be(config: dict[str, Any], message: str) -> None:
    with pytest.raises(BuildError, match=message):
        build(config)
