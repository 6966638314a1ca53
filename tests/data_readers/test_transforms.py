"""Transforms: shapes, determinism, what each one may do to an image."""

from __future__ import annotations

import numpy as np
import pytest

from toolbox.data.transforms import OPERATIONS, HorizontalFlip, StrongAugment, TwoViews, WeakAugment, cut_out

IMAGE = np.random.default_rng(0).integers(0, 256, (32, 32, 3)).astype(np.uint8)


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("transform", [HorizontalFlip(), WeakAugment(), StrongAugment(), StrongAugment(4, 0)])
def test_shape_type_and_determinism(transform):
    for seed in range(30):
        image = transform(IMAGE.copy(), rng(seed))
        assert image.shape == IMAGE.shape
        assert image.dtype == np.uint8
        assert np.array_equal(image, transform(IMAGE.copy(), rng(seed)))


def test_flip():
    assert np.array_equal(HorizontalFlip(1)(IMAGE, rng()), IMAGE[:, ::-1])
    assert np.array_equal(HorizontalFlip(0)(IMAGE, rng()), IMAGE)


def test_weak_shifts_by_at_most_an_eighth_and_in_every_direction():
    seen = set()
    for seed in range(300):
        shifted = WeakAugment(flip=0)(IMAGE, rng(seed))
        middle = shifted[8:24, 8:24]
        found = [
            (dy, dx)
            for dy in range(-4, 5)
            for dx in range(-4, 5)
            if np.array_equal(middle, IMAGE[8 + dy : 24 + dy, 8 + dx : 24 + dx])
        ]
        assert len(found) == 1
        seen.add(found[0])
    assert {dy for dy, _ in seen} == {dx for _, dx in seen} == set(range(-4, 5))


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_every_strong_operation_works_over_its_range(name):
    from PIL import Image

    low, high, operation = OPERATIONS[name]
    for magnitude in np.linspace(low, high, 5):
        out = np.array(operation(Image.fromarray(IMAGE), float(magnitude)))
        assert out.shape == IMAGE.shape
        assert out.dtype == np.uint8
    if name not in ("identity", "autocontrast"):  # the noise already has full contrast
        assert not np.array_equal(np.array(operation(Image.fromarray(IMAGE), low)), IMAGE)


def test_cut_out_paints_a_grey_square_and_leaves_its_argument_alone():
    before = IMAGE.copy()
    for seed in range(50):
        out = cut_out(IMAGE, 0.5, rng(seed))
        changed = (out != IMAGE).any(axis=2)
        assert (out[changed] == 127).all()
        assert 64 <= changed.sum() <= 256
    assert np.array_equal(IMAGE, before)
    assert np.array_equal(cut_out(IMAGE, 0, rng()), IMAGE)


def test_two_views_add_names_and_leave_the_image():
    views = {"images": IMAGE.copy()}
    TwoViews().apply(views, rng())
    assert sorted(views) == ["images", "strong", "weak"]
    assert np.array_equal(views["images"], IMAGE)
    assert not np.array_equal(views["weak"], views["strong"])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HorizontalFlip(2), "p=2 must be a number in"),
        (lambda: WeakAugment(shift=1), "shift=1 must be a number in"),
        (lambda: StrongAugment(-1), "operations=-1"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
