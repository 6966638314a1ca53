"""Splits, their files, hidden labels, and a stream that is a function of (seed, position)."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
from data_makers import array_set
from torch.utils.data import DataLoader

from toolbox.data.base import DataError
from toolbox.data.embedded import EmbeddedFashion
from toolbox.data.relabelled import MissingClassError, RelabelledSet, Subset
from toolbox.data.split import draw_split, load_split, make_split
from toolbox.data.stream import Stream, StreamSampler
from toolbox.data.transforms import HorizontalFlip, TwoViews, WeakAugment

SPLIT = {"labelled_per_class": 2, "seed": 3}


def take(sampler, n):
    return list(itertools.islice(sampler, n))


# --- split


def test_split_is_balanced_seeded_and_disjoint():
    source = array_set((6, 8))
    split = draw_split(source, **SPLIT)
    assert np.bincount(source.labels[split.labelled]).tolist() == [2, 2]
    assert sorted([*split.labelled, *split.unlabelled]) == list(range(14))
    assert split.labelled.tolist() == draw_split(source, **SPLIT).labelled.tolist()
    assert split.labelled.tolist() != draw_split(source, labelled_per_class=2, seed=4).labelled.tolist()


def test_split_is_the_stated_algorithm():
    source, rng = array_set((6, 8)), np.random.default_rng(3)
    expected = [rng.permutation(np.flatnonzero(source.labels == label))[:2] for label in (0, 1)]
    assert draw_split(source, **SPLIT).labelled.tolist() == sorted(np.concatenate(expected).tolist())


def test_split_by_fraction_and_its_three_kinds_of_unlabelled():
    source = array_set((6, 8))
    split = draw_split(source, labelled_fraction=0.5, unlabelled="all")
    assert np.bincount(source.labels[split.labelled]).tolist() == [3, 4]
    assert split.unlabelled.tolist() == list(range(14))
    assert len(draw_split(source, labelled_fraction=0.5, unlabelled="none").unlabelled) == 0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"labelled_per_class": 7},
            MissingClassError,
            "class 'kind 0' has 6 images, fewer than labelled_per_class=7",
        ),
        ({"labelled_fraction": 0.07}, MissingClassError, "class 'kind 0' would have no labelled images"),
        ({}, ValueError, "either labelled_per_class or labelled_fraction"),
        ({"labelled_per_class": 1, "labelled_fraction": 0.1}, ValueError, "one of them"),
        ({"labelled_fraction": 1.5}, ValueError, "labelled_fraction=1.5 must be a number in"),
        ({"labelled_per_class": 0}, ValueError, "labelled_per_class=0 must be a whole number of 1"),
        (
            {"labelled_per_class": 1, "unlabelled": "some"},
            ValueError,
            "unlabelled='some': it is one of 'rest', 'all'",
        ),
    ],
)
def test_split_errors(options, error, message):
    with pytest.raises(error, match=message):
        draw_split(array_set((6, 8)), **options)


def test_a_class_without_images_is_named():
    with pytest.raises(
        MissingClassError, match=r"'kind 1' would have no labelled images .the class has no images"
    ):
        draw_split(array_set((6, 0)), labelled_per_class=1)


def test_split_file_is_written_once_and_verified(tmp_path):
    source, file = array_set(), tmp_path / "new" / "split.json"
    split = make_split(source, file, **SPLIT)
    again = make_split(source, file, **SPLIT)
    assert again.labelled.tolist() == split.labelled.tolist()
    assert again.unlabelled.tolist() == split.unlabelled.tolist()
    assert [p.name for p in file.parent.iterdir()] == ["split.json"]
    with pytest.raises(DataError, match=r"was drawn with seed=3, not 4: give another file name"):
        make_split(source, file, labelled_per_class=2, seed=4)
    with pytest.raises(DataError, match=r"was drawn for other data"):
        load_split(file, array_set(seed=9))


def test_split_file_errors(tmp_path):
    source, file = array_set(), tmp_path / "split.json"
    with pytest.raises(DataError, match=r"split.json is missing"):
        load_split(file, source)
    draw_split(source, **SPLIT).save(file)
    good = json.loads(file.read_text())
    file.write_text(json.dumps(good)[:-5])
    with pytest.raises(DataError, match=r"split.json is torn"):
        load_split(file, source)
    file.write_text(json.dumps({**good, "labelled": [99]}))
    with pytest.raises(DataError, match=r"names images that noise does not have"):
        load_split(file, source)
    file.write_text(json.dumps({**good, "labelled": np.flatnonzero(source.labels == 0).tolist()}))
    with pytest.raises(MissingClassError, match=r"class 'kind 1' of noise has no labelled images"):
        load_split(file, source)


# --- hidden labels


def test_stream_hides_what_the_split_hides():
    source = array_set()
    stream = Stream(source, SPLIT)
    hidden = stream.split.unlabelled
    assert (stream.visible_labels[hidden] == -1).all()
    assert np.array_equal(stream.visible_labels[stream.split.labelled], source.labels[stream.split.labelled])
    items = [stream[0, entry] for entry in range(len(stream))]
    assert [item["labels"] for item in items] == stream.visible_labels.tolist()
    assert [item["index"] for item in items] == list(range(14))


def test_unlabelled_all_shows_labelled_images_a_second_time_without_their_label():
    stream = Stream(array_set(), {"labelled_per_class": 2, "unlabelled": "all"})
    items = [stream[0, entry] for entry in range(len(stream))]
    assert len(stream) == 18
    assert sum(item["labels"] >= 0 for item in items) == 4
    assert sorted(item["index"] for item in items if item["labels"] < 0) == list(range(14))


def test_unlabelled_none_leaves_the_labelled_images():
    stream = Stream(array_set(), {"labelled_per_class": 2, "unlabelled": "none"})
    assert len(stream) == 4
    assert all(stream[0, entry]["labels"] >= 0 for entry in range(4))


def test_no_leak_shuffled_hidden_labels_change_no_bit():
    source = array_set((20, 20))
    split = draw_split(source, **SPLIT)

    def batches():
        stream = Stream(source, split, [WeakAugment(), TwoViews()], seed=5)
        loader = DataLoader(
            stream, batch_size=8, sampler=StreamSampler(stream, seed=5, labelled_fraction=0.25)
        )
        return take(loader, 12)

    before = batches()
    source.labels[split.unlabelled] = np.random.default_rng(1).permutation(source.labels[split.unlabelled])
    for one, other in zip(before, batches(), strict=True):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[key], other[key]) for key in one)


# --- randomness


def test_an_item_is_a_function_of_seed_and_position():
    stream = Stream(array_set(), transforms=[WeakAugment()], seed=1)
    first = stream[7, 3]["images"]
    assert torch.equal(first, Stream(array_set(), transforms=[WeakAugment()], seed=1)[7, 3]["images"])
    assert any(not torch.equal(first, stream[position, 3]["images"]) for position in range(8, 12))
    assert first.shape == (3, 8, 8)
    assert first.dtype == torch.uint8


def test_a_further_transform_leaves_the_draws_of_the_others_alone():
    alone = Stream(array_set(), transforms=[WeakAugment()])
    more = Stream(array_set(), transforms=[WeakAugment(), TwoViews()])
    assert all(torch.equal(alone[i, i]["images"], more[i, i]["images"]) for i in range(14))


def test_a_stream_of_other_images_keeps_what_a_subclass_has():
    class Named(Stream):
        def __init__(self, source, name):
            super().__init__(source, SPLIT)
            self.name = name

    stream = Named(array_set(), "mine")
    few = stream.of(Subset(stream.source, [3, 4]))
    assert (few.name, len(few), len(stream)) == ("mine", 2, 14)
    assert torch.equal(few[1]["images"], Stream(stream.source)[4]["images"])


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(workers):
    stream = Stream(EmbeddedFashion("test"), {"labelled_per_class": 5}, [WeakAugment()])

    def batches(n_workers):
        sampler = StreamSampler(stream, seed=2, start=40)
        return take(DataLoader(stream, batch_size=16, sampler=sampler, num_workers=n_workers), 4)

    stream.source.image(0)  # open the zip before forking: each worker must open it for itself
    for one, other in zip(batches(0), batches(workers), strict=True):
        assert all(torch.equal(one[key], other[key]) for key in ("images", "labels", "index"))
        assert one["labels"].dtype == one["index"].dtype == torch.int64


def test_sampler_is_endless_and_shows_every_entry_once_an_epoch():
    stream = Stream(array_set())
    pairs = take(StreamSampler(stream, seed=0), 42)
    assert [position for position, _ in pairs] == list(range(42))
    epochs = [[entry for _, entry in pairs[i : i + 14]] for i in (0, 14, 28)]
    assert all(sorted(epoch) == list(range(14)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize("fraction", [None, 0.25, 0.7])
def test_sampler_starts_anywhere_without_replay(fraction):
    stream = Stream(array_set(), SPLIT)
    whole = take(StreamSampler(stream, seed=0, labelled_fraction=fraction), 100)
    for start in (1, 13, 14, 61):
        sampler = StreamSampler(stream, seed=0, start=start, labelled_fraction=fraction)
        assert take(sampler, 20) == whole[start : start + 20]
    sampler = StreamSampler(stream, seed=0, labelled_fraction=fraction)
    sampler.start = 61  # as the training loop sets it on resume
    assert take(sampler, 5) == whole[61:66]


@pytest.mark.parametrize("world", [1, 2, 3])
def test_ranks_take_contiguous_slices_of_the_global_batch(world):
    stream = Stream(array_set())
    whole = take(StreamSampler(stream, seed=0), 60)
    size = 12 // world
    ranks = [
        take(StreamSampler(stream, batch_size=size, seed=0, rank=rank, world=world), 3 * size)
        for rank in range(world)
    ]
    joined = [
        pair for batch in range(3) for rank in ranks for pair in rank[batch * size : (batch + 1) * size]
    ]
    assert joined == whole[:36]
    resumed = StreamSampler(stream, batch_size=size, seed=0, rank=world - 1, world=world, start=2 * size)
    assert take(resumed, size) == ranks[-1][2 * size :]


def test_labelled_fraction_is_kept_evenly():
    stream = Stream(array_set((20, 20)), SPLIT)
    pairs = take(StreamSampler(stream, labelled_fraction=0.25), 160)
    labels = np.array([stream[pair]["labels"] for pair in pairs])
    assert ((labels.reshape(-1, 8) >= 0).sum(axis=1) == 2).all()
    shown = [entry for _, entry in pairs]
    counts = np.bincount(shown, minlength=40)
    assert set(counts[stream.split.labelled]) == {10}
    assert counts[stream.split.unlabelled].max() == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rank": 0, "world": 2}, "with 2 ranks the sampler needs a batch_size"),
        ({"rank": 2, "world": 2, "batch_size": 4}, "rank=2 of world=2"),
        ({"labelled_fraction": 0.5}, "both labelled .14. and unlabelled .0. entries"),
    ],
)
def test_sampler_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        StreamSampler(Stream(array_set()), **arguments)


def test_an_empty_stream_is_an_error():
    with pytest.raises(ValueError, match=r"the data set is empty"):
        StreamSampler([])


# --- subsets and coarse classes


def test_subset_carries_everything_along():
    source = array_set()
    part = Subset(source, [5, 2])
    assert part.labels.tolist() == source.labels[[5, 2]].tolist()
    assert part.captions == [["picture 5"], ["picture 2"]]
    assert part.factors["parity"].tolist() == [1, 0]
    assert np.array_equal(part.image(0), source.image(5))
    assert part.fingerprint() not in (source.fingerprint(), Subset(source, [2, 5]).fingerprint())
    with pytest.raises(IndexError, match=r"indices must lie in 0 to 13"):
        Subset(source, [14])


def test_relabelled_set_has_known_modes():
    groups = {"tops": ["pullover", "shirt"], "feet": ["sandal", "ankle boot"]}
    data = RelabelledSet(EmbeddedFashion("test"), groups)
    assert data.classes == ["feet", "tops"]
    assert data.counts.tolist() == [400, 400]
    assert data.factor_names["fine"] == ["sandal", "ankle boot", "pullover", "shirt"]
    source = data.source
    for i in (0, 100, 700):
        fine = data.factor_names["fine"][data.factors["fine"][i]]
        assert fine == source.classes[source.labels[data.indices[i]]]
        assert fine in groups[data.classes[data.labels[i]]]
    assert data.embedded
    assert data.title == "Fashion-MNIST (embedded), 2 coarse classes"


def test_relabelled_set_takes_a_config_and_does_not_depend_on_the_order_of_the_groups():
    config, groups = {"type": EmbeddedFashion}, {"b": ["bag"], "a": ["coat", "shirt"]}
    one = RelabelledSet(config, groups, split="test")
    other = RelabelledSet(config, dict(reversed(groups.items())), split="test")
    assert one.fingerprint() == other.fingerprint()
    assert len(one) == 600


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        ({"a": ["pulover"]}, MissingClassError, "has no class 'pulover'; did you mean 'pullover'?"),
        ({"a": ["bag"], "b": ["bag"]}, DataError, "class 'bag' is in more than one group"),
        ({"a": []}, DataError, "groups: 'a' is empty"),
        ({}, DataError, "groups is empty"),
    ],
)
def test_relabelled_set_errors(groups, error, message):
    with pytest.raises(error, match=message):
        RelabelledSet(EmbeddedFashion("test"), groups)


def test_stream_flips_as_asked():
    stream = Stream(array_set(), transforms=[HorizontalFlip(1.0)])
    assert torch.equal(stream[0, 4]["images"].flip(-1), Stream(array_set())[0, 4]["images"])
