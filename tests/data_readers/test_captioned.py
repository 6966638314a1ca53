"""Captioned images: a function of (seed, position), groups of positives, sentences from templates."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils.data import default_collate

from toolbox.data.base import ArraySet, DataError
from toolbox.data.captioned import CaptionedImages, CaptionSource, vary
from toolbox.registry import BuildError


def drawings(n: int = 6, size: int = 16, captions: bool = True) -> ArraySet:
    images = np.random.default_rng(n).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    texts = [[f"thing {i}", "round", "blue", "old"] for i in range(n)] if captions else None
    return ArraySet(images, [i % 2 for i in range(n)], ["Cup", "Hat"], title=f"drawings {n}", captions=texts)


def mixed(**changes) -> CaptionedImages:
    sources = [
        dict(data=drawings(4, captions=False), templates=["a photo of a {class}"], flip=True),
        CaptionSource(drawings(6), ["{name}, {keywords}", "{class}: {name}"], repeat=3),
    ]
    return CaptionedImages(sources, **changes)


def words(data: CaptionedImages, item) -> str:
    ids = data[item]["text"]
    return data._tokenizer.decode(ids[1 : int(ids.argmax())].tolist()).strip()


def test_items_collate_into_what_a_game_reads():
    data = mixed()
    batch = default_collate([data[(position, index)] for position, index in enumerate([0, 3, 5, 21])])
    assert len(data) == 4 + 3 * 6
    assert batch["images"].shape == (4, 3, 16, 16) and batch["images"].abs().max() <= 1
    assert batch["text"].shape == (4, 32) and batch["text"].dtype == torch.int64
    assert batch["group"].dtype == torch.int64 and batch["index"].tolist() == [0, 3, 5, 21]


def test_an_item_is_a_function_of_seed_and_position():
    first, again, other = mixed()[(7, 5)], mixed()[(7, 5)], mixed(seed=1)[(7, 5)]
    assert torch.equal(first["images"], again["images"]) and torch.equal(first["text"], again["text"])
    assert not torch.equal(first["images"], other["images"])
    assert not torch.equal(first["images"], mixed()[(8, 5)]["images"])


def test_groups_are_classes_without_captions_and_concepts_with_them():
    data = mixed()
    assert [data[i]["group"] for i in range(4)] == [0, 1, 0, 1]
    assert [data[4 + i]["group"] for i in range(6)] == [2, 3, 4, 5, 6, 7]
    assert data.visible_labels.tolist() == [data[i]["group"] for i in range(len(data))]
    assert data[4 + 6]["group"] == data[4]["group"]  # the repetition of an image is the same concept


def test_labels_count_the_classes_of_all_sets():
    data = mixed()
    assert [data[i]["labels"] for i in (0, 1, 4, 5, 11)] == [0, 1, 2, 3, 3]
    assert data.classes == ["Cup", "Hat", "Cup", "Hat"]


def test_sentences_follow_the_templates():
    data = mixed()
    assert {words(data, (p, 1)) for p in range(5)} == {"a photo of a hat"}
    seen = {words(data, (p, 4)) for p in range(60)}
    assert "cup : thing 0" in seen
    assert any("round" in text for text in seen) and any("blue , old" in text for text in seen)
    assert all("thing 0" in text for text in seen)


def test_a_plain_index_gives_the_unchanged_image():
    data = mixed()
    assert torch.equal(data[2]["images"], data.sources[0].data[2]["images"])


def test_views_are_mild_and_filled_with_the_corners_colour():
    image = np.full((32, 32, 3), 255, dtype=np.uint8)
    image[12:20, 12:20] = [255, 0, 0]
    rng = np.random.default_rng(0)
    views = [vary(image, rng) for _ in range(20)]
    assert all((view[0, 0] == 255).all() and (view[-1, -1] == 255).all() for view in views)
    red = [(view[..., 1] < 128).sum() for view in views]
    assert min(red) > 40 and max(red) < 100 and len(set(red)) > 3
    still = vary(image, rng, strength=0.0)
    assert np.array_equal(still, image)
    half = image.copy()
    half[:, :16] = 0
    assert any(vary(half, rng, 0.0, flip=True)[0, 31].max() == 0 for _ in range(20))


def test_fingerprint_tells_templates_and_images_apart():
    assert mixed().fingerprint() == mixed().fingerprint() != mixed(strength=0.5).fingerprint()


def test_faults_are_named():
    with pytest.raises(
        ValueError, match=r"unknown placeholders \['nme'\]; allowed: \{name\}, \{class\}, \{keywords\}"
    ):
        CaptionSource(drawings(), ["{nme}"])
    with pytest.raises(DataError, match="needs captions, and drawings 4 has none"):
        CaptionSource(drawings(4, captions=False), ["{name}"])
    with pytest.raises(DataError, match="differ in image_size"):
        CaptionedImages([CaptionSource(drawings(4)), CaptionSource(drawings(6, size=8))])
    with pytest.raises(ValueError, match="repeat=0"):
        CaptionSource(drawings(), repeat=0)
    with pytest.raises(ValueError, match="sources is empty"):
        CaptionedImages([])
    with pytest.raises(IndexError, match="outside of 0 to 21"):
        mixed()[22]
    with pytest.raises(BuildError, match=r"sources\.data"):
        CaptionedImages([dict(data=dict(type="NoSuchSet"))])


def test_texts_are_not_taken_letter_by_letter():
    with pytest.raises(DataError, match=r"templates of .* must be a list of texts"):
        CaptionSource(drawings(), templates="a {name}")  # type: ignore[arg-type]
    bare = drawings()
    bare.captions[2] = []
    with pytest.raises(DataError, match="image 2 has no caption"):
        CaptionSource(bare)
