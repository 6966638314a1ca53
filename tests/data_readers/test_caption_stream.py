"""Items of captioned images: sizes, crops, captions and words as a function of seed and position."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from caption_makers import mini_birds, mini_coco, sentences
from PIL import Image
from torch.utils.data import DataLoader

from toolbox.data.base import ArraySet, DataError
from toolbox.data.caption_stream import CaptionStream
from toolbox.data.cub_coco import CocoCaptions, CubCaptions
from toolbox.data.relabelled import Subset
from toolbox.data.stream import StreamSampler
from toolbox.data.transforms import HorizontalFlip, RandomCrop, ShorterSide, SmallerSizes
from toolbox.data.vocabulary import Vocabulary, encode_texts


def birds(root, **changes) -> CaptionStream:
    source = CubCaptions(root, image_size=32)
    return CaptionStream(
        source, transforms=[HorizontalFlip()], **{"sizes": (8, 16, 32), "max_words": 5, **changes}
    )


def named(captions, size=8, classes=2) -> ArraySet:
    n = len(captions)
    images = np.random.default_rng(0).integers(0, 256, (n, size, size, 3), dtype=np.uint8)
    labels = [i % classes for i in range(n)]
    return ArraySet(images, labels, [f"c{i}" for i in range(classes)], title="named", captions=captions)


def equal(one, other) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else equal(a, b) if isinstance(a, dict) else a == b
        for a, b in ((one[key], other[key]) for key in one)
    )


def test_an_item_has_all_sizes_and_a_caption(tmp_path):
    item = birds(mini_birds(tmp_path))[(3, 2)]
    shapes = {name: tuple(value.shape) for name, value in item.items() if name.startswith("images")}
    assert shapes == {"images": (3, 32, 32), "images8": (3, 8, 8), "images16": (3, 16, 16)}
    assert item["images"].dtype == item["images8"].dtype == torch.uint8
    assert item["text"].shape == (5,) and item["text"].dtype == torch.int64
    assert (item["text"][: item["lengths"]] > 0).all() and (item["text"][item["lengths"] :] == 0).all()
    assert (item["labels"], item["index"], item["group"]) == (1, 2, 1)
    assert "label_sets" not in item


def test_smaller_images_are_the_large_one_resized(tmp_path):
    item = birds(mini_birds(tmp_path))[(0, 0)]
    large = Image.fromarray(item["images"].permute(1, 2, 0).numpy())
    for size in (8, 16):
        small = np.array(large.resize((size, size), Image.Resampling.BILINEAR))
        assert np.array_equal(item[f"images{size}"].permute(1, 2, 0).numpy(), small)


def test_an_item_is_a_function_of_seed_position_and_entry(tmp_path):
    mini_birds(tmp_path)
    stream, again, other = birds(tmp_path), birds(tmp_path), birds(tmp_path, seed=1)
    assert all(equal(stream[(p, 0)], again[(p, 0)]) for p in range(3))
    assert not equal(stream[(0, 0)], other[(0, 0)]) and not equal(stream[(0, 0)], stream[(1, 0)])


@pytest.mark.parametrize("workers", [1])
def test_workers_change_nothing(tmp_path, workers):
    stream = birds(mini_birds(tmp_path))

    def batches(n):
        loader = iter(DataLoader(stream, 2, sampler=StreamSampler(stream, start=4), num_workers=n))
        return [next(loader) for _ in range(2)]

    assert all(equal(one, other) for one, other in zip(batches(0), batches(workers), strict=True))


def test_captions_and_words_vary_and_keep_their_order(tmp_path):
    stream = birds(mini_birds(tmp_path))
    texts = [stream.tokens.vocabulary.decode(stream[(p, 0)]["text"]).split() for p in range(60)]
    numbers = [stream.caption_number(p, 0) for p in range(60)]
    assert set(numbers) == set(range(10))
    for words, number in zip(texts, numbers, strict=True):
        rest = iter(sentences(0, 10)[number].split())
        assert all(word in rest for word in words)  # a subsequence
        assert len(words) == min(5, len(sentences(0, 10)[number].split()))
    longest = max(range(10), key=lambda k: len(sentences(0, 10)[k].split()))
    assert len({" ".join(w) for w, k in zip(texts, numbers, strict=True) if k == longest}) > 1


def test_crops_and_flips_vary(tmp_path):
    mini_birds(tmp_path)
    still = CaptionStream(CubCaptions(tmp_path, image_size=32, crop=False), load=1)
    tall = [still[(p, 0)]["images"] for p in range(8)]
    assert len({image.numpy().tobytes() for image in tall}) > 1  # the picture is wider than high
    square = CaptionStream(named([["a b"]] * 2), load=1)
    assert torch.equal(square[(0, 0)]["images"], square[(1, 0)]["images"])


def test_label_sets_come_along(tmp_path):
    stream = CaptionStream(CocoCaptions(mini_coco(tmp_path), image_size=16))
    item = stream[(0, 3)]
    assert item["label_sets"].tolist() == [True, False, True]
    assert (item["labels"], item["group"]) == (2, 3)


def test_clips_pieces(tmp_path):
    stream = birds(mini_birds(tmp_path), tokens="clip", max_words=12)
    item, number = stream[(0, 1)], stream.caption_number(0, 1)
    text = stream.source.captions[1][number]
    theirs = stream.tokens._tokenizer
    assert torch.equal(item["text"], theirs([text], context_length=12)[0])
    assert item["lengths"] == int(item["text"].argmax()) + 1
    assert stream.tokens.decode(item["text"]) == " ".join(text.lower().replace(".", " .").split())
    short = birds(tmp_path, tokens="clip", max_words=4)[(0, 1)]
    assert torch.equal(short["text"], theirs([text], context_length=4)[0]) and short["lengths"] == 4


def test_a_vocabulary_of_training_captions_reports_unknown_words(capsys):
    train = named([["red cat", "the cat"], ["a blue-ish dog"]])
    test = named([["green cat", "wild one"], ["dog", "Dog, red!"]])
    stream = CaptionStream(test, vocabulary=train, max_words=4)
    assert stream.tokens.vocabulary.words == ["<end>", "a", "blue", "cat", "dog", "ish", "red", "the"]
    assert stream.unknown == {"green": 1, "wild": 1, "one": 1}
    assert "named: 3 words of its captions are not in the vocabulary" in capsys.readouterr().out
    assert stream.captions_of(0).tolist() == [0]  # 'wild one' is never drawn
    assert stream[(0, 0)]["text"].tolist() == [3, 0, 0, 0] and stream[(0, 0)]["lengths"] == 1
    stream.of(Subset(test, [1]))
    assert capsys.readouterr().out == ""


def test_a_vocabulary_travels_as_bytes():
    words = Vocabulary.of([["a caf\u00e9", "two-thirty \ufffd\ufffdnow"]])
    assert words.words == ["<end>", "a", "caf", "now", "thirty", "two"]
    assert Vocabulary.from_bytes(words.to_bytes()) == words
    with pytest.raises(DataError, match="no vocabulary"):
        Vocabulary.from_bytes(words.to_bytes()[:-1])
    with pytest.raises(DataError, match="must be a list of texts"):
        Vocabulary.from_bytes(torch.tensor([49], dtype=torch.uint8))


def test_texts_that_somebody_wrote_become_ids():
    tokens = CaptionStream(named([["a red cat on the sofa"]] * 2), max_words=3).tokens
    ids, lengths = encode_texts(tokens, ["The CAT!", "a red cat on the sofa"])
    assert [tokens.decode(row) for row in ids] == ["the cat", "a red cat"] and lengths.tolist() == [2, 3]
    with pytest.raises(DataError, match="'dog' has no word that the vocabulary knows"):
        encode_texts(tokens, ["cat", "dog"])


def test_faults_are_named(tmp_path):
    mini_birds(tmp_path)
    with pytest.raises(ValueError, match=r"sizes=\(8, 16\): the largest must be .* image_size=32"):
        birds(tmp_path, sizes=(8, 16))
    with pytest.raises(ValueError, match=r"tokens='word'.*did you mean 'words'"):
        birds(tmp_path, tokens="word")
    with pytest.raises(ValueError, match=r"load=0\.5 must be"):
        birds(tmp_path, load=0.5)
    with pytest.raises(DataError, match="has no captions"):
        CaptionStream(ArraySet(np.zeros((2, 8, 8, 3), np.uint8), [0, 0], ["x"]))
    with pytest.raises(DataError, match="1 images have no caption with a word, the first is image 1"):
        CaptionStream(named([["a"], [" "]]))
    with pytest.raises(DataError, match="2 images have no caption with a known word"):
        CaptionStream(named([["a"], ["b"]]), vocabulary=Vocabulary(["<end>", "c"]))
    with pytest.raises(DataError, match="came without token ids"):
        named([["a"]]).caption_ids(0, 0)


def test_transforms_of_pictures_that_are_not_square():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40, 61, 3), dtype=np.uint8)
    assert ShorterSide(20)(image, rng).shape == (20, 30, 3)
    assert ShorterSide(20)(image.transpose(1, 0, 2), rng).shape == (30, 20, 3)
    crops = {RandomCrop(39)(image, rng).tobytes() for _ in range(20)}
    assert len(crops) > 10 and RandomCrop(40)(image, rng).shape == (40, 40, 3)
    with pytest.raises(ValueError, match="a crop of 50 pixels from an image of 61 x 40: put ShorterSide"):
        RandomCrop(50)(image, rng)
    views = {"images": image[:, :40]}
    SmallerSizes([10]).apply(views, rng)
    assert views["images10"].shape == (10, 10, 3) and views["images"].shape == (40, 40, 3)
