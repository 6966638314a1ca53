"""The shipped data is what its notices say."""

from __future__ import annotations

import numpy as np
import pytest

from toolbox.data.embedded import FOLDER, EmbeddedEmoji, EmbeddedFashion


@pytest.mark.parametrize(("split", "each"), [("train", 800), ("test", 200)])
def test_fashion_is_balanced_grey_and_padded(split, each):
    data = EmbeddedFashion(split)
    assert data.counts.tolist() == [each] * 10
    assert data.embedded
    assert data.title == "Fashion-MNIST (embedded)"
    assert data.image_size == 32
    assert data.classes == [
        "t-shirt",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ]
    image = data.image(3)
    assert image.shape == (32, 32, 3)
    assert (image == image[:, :, :1]).all()
    assert image[:2].max() == image[:, -2:].max() == 0
    assert image.max() > 100


def test_emoji_classes_factors_captions():
    train, test = EmbeddedEmoji("train"), EmbeddedEmoji("test")
    assert len(train) + len(test) == 1906
    assert len(train.classes) == 9
    assert min(test.counts) >= 8
    assert min(train.counts) >= 70
    assert len(train.factor_names["subcategory"]) == 98 or len(train.factor_names["subcategory"]) == 99
    assert train.captions[0][0] == "grinning face"
    assert "smile" in train.captions[0]
    assert all(texts and texts[0] for texts in train.captions)
    corner = np.stack([train.image(i)[0, 0] for i in range(50)])
    assert (corner == 255).mean() > 0.9  # on white


def test_held_out_concepts_keep_their_variants_together():
    names = {split: {texts[0] for texts in EmbeddedEmoji(split).captions} for split in ("train", "test")}
    assert not names["train"] & names["test"]
    for name in names["test"]:
        if name.startswith("man "):
            assert name.replace("man ", "woman ", 1) not in names["train"]


def test_emoji_can_be_had_smaller():
    data = EmbeddedEmoji("test", image_size=32)
    assert data.image(0).shape == (32, 32, 3)
    assert data.fingerprint() != EmbeddedEmoji("test").fingerprint()


def test_files_are_small_and_have_notices():
    for name in ("fashion_mnist", "noto_emoji"):
        assert (FOLDER / f"{name}.zip").stat().st_size < 7_000_000
        notice = (FOLDER / f"NOTICE.{name}.txt").read_text()
        assert "MIT License" in notice
        assert "tools/build_embedded.py" in notice
