"""Drawn portraits: a function of their number, with masks that fit the pictures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from toolbox.data.drawn import PARTS, STYLES, DrawnPortraits
from toolbox.registry import build


def test_an_image_is_a_function_of_its_number() -> None:
    """The size of the set, the order of reading and the cache change nothing."""
    few, many = DrawnPortraits(images=3), DrawnPortraits(images=20, cache=False)
    for i in (2, 0, 1, 2):
        np.testing.assert_array_equal(few.image(i), many.image(i))
    assert few.fingerprint() != many.fingerprint()
    assert few.fingerprint() == DrawnPortraits(images=3, cache=False).fingerprint()


def test_splits_are_other_portraits() -> None:
    """No test image equals a training image; the registered name builds the set."""
    train, test = (
        DrawnPortraits(images=30),
        build(dict(type="DrawnPortraits", split="test", images=30), "dataset"),
    )
    seen = {train.image(i).tobytes() for i in range(30)}
    assert not seen & {test.image(i).tobytes() for i in range(30)}
    assert (len(DrawnPortraits()), len(DrawnPortraits(train=False))) == (8000, 2000)


def test_masks_hold_every_part_and_agree_across_sizes() -> None:
    """All parts occur; hats on those who wear one; at twice the size the same pixels hold the same parts,
    borders aside.
    """
    data, large = DrawnPortraits(images=40), DrawnPortraits(images=40, image_size=128)
    masks = np.stack([data.mask(i) for i in range(40)])
    assert set(np.unique(masks)) == set(range(len(PARTS)))
    for i, mask in enumerate(masks):
        assert (mask == PARTS.index("hat")).any() == (data.labels[i] == STYLES.index("hat"))
        assert (mask == PARTS.index("eye")).sum() > 20
        assert (large.mask(i)[::2, ::2] == mask).mean() > 0.93


def test_a_mask_fits_its_picture() -> None:
    """Two pixels away from everything else, the backdrop is one colour in each row."""
    data = DrawnPortraits(images=10)
    for i in range(10):
        image, mask = data.image(i).astype(float), data.mask(i)
        inside = binary_erosion(mask == 0, np.ones((3, 3)), iterations=2)
        rows = [pixels[here] for pixels, here in zip(image, inside, strict=True) if here.any()]
        assert max(np.ptp(row, axis=0).max() for row in rows) <= 1


def test_colours_do_not_tell_the_parts() -> None:
    """The nearest mean colour of a part finds few parts: a segmentation by colour alone would not do."""
    data = DrawnPortraits(images=60)
    colours = np.concatenate([data.image(i).reshape(-1, 3) for i in range(60)]).astype(float)
    parts = np.concatenate([data.mask(i).ravel() for i in range(60)])
    means = np.stack([colours[parts == part].mean(axis=0) for part in range(len(PARTS))])
    guess = ((colours[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    recalls = [(guess[parts == part] == part).mean() for part in range(len(PARTS))]
    assert np.mean(recalls) < 0.4


def test_unknown_split() -> None:
    """Named with what is allowed."""
    with pytest.raises(ValueError, match="split='val': it is 'train' or 'test'"):
        DrawnPortraits(split="val")
