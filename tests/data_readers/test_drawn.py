"""Drawn portraits: a function of their number, with masks that fit the pictures."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from toolbox.data.base import DataError
from toolbox.data.captioned import CaptionedImages
from toolbox.data.drawn import PARTS, STYLES, DrawnPortraits
from toolbox.data.drawn_captions import SENTENCES, STYLE_NAMES
from toolbox.data.drawn_styles import DRAWN_STYLES
from toolbox.data.relabelled import FactorClasses
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
        DrawnPortraits(images=12),
        build(dict(type="DrawnPortraits", split="test", images=12), "dataset"),
    )
    seen = {train.image(i).tobytes() for i in range(12)}
    assert not seen & {test.image(i).tobytes() for i in range(12)}
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


def test_as_drawn_is_what_it_always_was() -> None:
    """Weights that are shipped were trained on it: the digest is of before there were styles."""
    sha = hashlib.sha256()
    for size in (64, 37):
        data = DrawnPortraits("test", images=8, image_size=size)
        for i in range(8):
            sha.update(data.image(i).tobytes() + data.mask(i).tobytes())
    assert sha.hexdigest() == "1653f5b8a5d9b820ca165c6526794f4e44455378f0f53b65878e5ca88f372ff4"
    few = DrawnPortraits(images=8)
    assert few.fingerprint().startswith("765d97691fff7292") and few.captions is None


@pytest.mark.parametrize("style", DRAWN_STYLES[1:])
def test_a_style_changes_the_picture_and_neither_mask_nor_person(style: str) -> None:
    """Each picture, by more than a retouch; it is a function of its number, at any size."""
    plain, other = DrawnPortraits(images=6), DrawnPortraits(images=6, style=style)
    more = DrawnPortraits(images=9, style=style, cache=False)
    for i in (4, 0, 5):
        image = other.image(i)
        assert image.dtype == np.uint8 and np.abs(image.astype(float) - plain.image(i)).mean() > 15
        np.testing.assert_array_equal(image, more.image(i))
        np.testing.assert_array_equal(other.mask(i), plain.mask(i))
    np.testing.assert_array_equal(other.labels, plain.labels)
    np.testing.assert_array_equal(other.factors["mouth"], plain.factors["mouth"])
    assert other.title == f"Drawn portraits, {style} (embedded)"
    for size in (1, 5, 90):
        image = DrawnPortraits(images=1, style=style, image_size=size).image(0)
        assert image.shape == (size, size, 3)


def test_styles_take_turns_in_a_list() -> None:
    """Portrait i is in style i modulo the list's length, and the style is a factor."""
    styles = ["as drawn", "neon", "comic"]
    mixed, comics = DrawnPortraits(images=7, style=styles), DrawnPortraits(images=7, style="comic")
    np.testing.assert_array_equal(mixed.factors["style"], [0, 1, 2, 0, 1, 2, 0])
    assert list(mixed.factor_names["style"]) == styles and "style" not in comics.factors
    np.testing.assert_array_equal(mixed.image(5), comics.image(5))
    np.testing.assert_array_equal(mixed.image(3), DrawnPortraits(images=7).image(3))
    made = [DrawnPortraits(images=7, style=style) for style in (styles, "comic", "as drawn", styles[::-1])]
    made.append(DrawnPortraits(images=7, style=styles, captioned=True))
    assert len({data.fingerprint() for data in made}) == 5
    with pytest.raises(ValueError, match="style='sepia': it is one of as drawn, pencil sketch, neon"):
        DrawnPortraits(images=1, style=["comic", "sepia"])
    with pytest.raises(ValueError, match="style is empty"):
        DrawnPortraits(images=1, style=[])


def test_captions_say_what_is_drawn() -> None:
    """Style, hair, hat and mouth, never the opposite; colours only where the style has the portrait's own."""
    data = DrawnPortraits("test", images=140, style=DRAWN_STYLES, captioned=True)
    assert data.captions is not None
    for i, (name, *sentences) in enumerate(data.captions):
        style, text = DRAWN_STYLES[i % 7], " ".join(sentences)
        assert name in STYLE_NAMES[style] and len(sentences) == SENTENCES
        wrong = {"short hair": "long", "long hair": "short", "hat": "hair"}[STYLES[data.labels[i]]]
        assert wrong not in text.split() and ("smil" in text) <= bool(data.factors["mouth"][i])
        assert ("hat" in text.split()) <= (STYLES[data.labels[i]] == "hat")
        assert ("clothes" in text) <= (style in ("as drawn", "watercolour", "pixel art", "comic"))
        told = [text.partition(" of a")[0].split(" ", 1)[1] for text in sentences if " of a" in text]
        assert set(told) <= set(STYLE_NAMES[style])
    again = DrawnPortraits("test", images=20, style=DRAWN_STYLES, captioned=True).captions
    assert again == data.captions[:20]


def test_captions_can_be_trained_with() -> None:
    """A sentence of each visit, or the style's name inside a template."""
    neon = DrawnPortraits(images=4, style="neon", captioned=True)
    assert neon.captions is not None
    data = CaptionedImages([dict(data=neon, templates=["{caption}, {class}", "a photo of a {name}."])])
    said = {data.sources[0].caption(2, np.random.default_rng(seed)) for seed in range(60)}
    name, kind = neon.captions[2][0], STYLES[neon.labels[2]]
    assert said == {f"a photo of a {name}.", *(f"{text}, {kind}" for text in neon.captions[2])}


def test_combinations_of_factors_can_be_classes() -> None:
    """Named by their parts, the first changing slowest; a factor that is not there is named."""
    drawn = dict(type="DrawnPortraits", images=30, style=["neon", "comic"])
    data = build(dict(type="FactorClasses", source=drawn, factors=["style", "class", "mouth"]), "dataset")
    assert len(data.classes) == 12 and data.classes[9] == "comic, long hair, smiling"
    for i, label in enumerate(data.labels):
        parts = data.source.factors["style"][i], data.source.labels[i], data.source.factors["mouth"][i]
        assert label == np.ravel_multi_index(parts, (2, 3, 2))
    np.testing.assert_array_equal(data.image(5), data.source.image(5))
    with pytest.raises(DataError, match="has no factor 'age': it is of class, mouth, style"):
        FactorClasses(data.source, ["age"])
    with pytest.raises(DataError, match="factors is empty"):
        FactorClasses(data.source, [])
