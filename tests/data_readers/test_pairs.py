"""Partners: of the same label by every rule, with draws of their own, the same in any process."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from caption_makers import mini_birds, mini_coco
from test_caption_stream import equal, named
from torch.utils.data import DataLoader

from toolbox.data.base import DataError
from toolbox.data.caption_stream import CaptionStream
from toolbox.data.cub_coco import CocoCaptions, CubCaptions
from toolbox.data.pairs import LabelPairs
from toolbox.data.relabelled import Subset
from toolbox.data.stream import StreamSampler


def coco(root, rule=None) -> LabelPairs:
    return LabelPairs(CocoCaptions(root, image_size=8), max_words=4, rule=rule)


def flown(root, **changes) -> LabelPairs:
    return LabelPairs(CubCaptions(root, image_size=32), sizes=(8, 32), max_words=9, **changes)


def partners(pairs: LabelPairs, entry: int, n: int = 200) -> Counter[int]:
    return Counter(pairs._mates.draw(entry, np.random.default_rng(i))[0] for i in range(n))


def test_an_item_stays_as_it_is_and_gets_a_partner_of_its_label(tmp_path, capsys):
    pairs = flown(mini_birds(tmp_path))
    stream = CaptionStream(pairs.source, sizes=(8, 32), max_words=9)
    assert pairs.rule == "label" and len(pairs) == 3 and pairs.lone == 1
    assert "1 of 3 items share their label with no other" in capsys.readouterr().out
    item = pairs[(5, 0)]
    partner = item.pop("partner")
    assert equal(item, stream[(5, 0)]) and partner.keys() == item.keys()
    assert partner["index"] == 1 and partner["labels"] == item["labels"] == 0


def test_the_partner_has_draws_of_its_own(tmp_path):
    pairs = flown(mini_birds(tmp_path))
    own = [pairs[(p, 1)] for p in range(20)]
    drawn = [pairs[(p, 0)]["partner"] for p in range(20)]
    assert not any(torch.equal(one["images"], other["images"]) for one, other in zip(own, drawn, strict=True))
    assert [one["text"].tolist() for one in own] != [other["text"].tolist() for other in drawn]


def test_a_lone_image_is_its_own_partner_with_another_caption(tmp_path):
    pairs = flown(mini_birds(tmp_path))
    for position in range(30):
        item = pairs[(position, 2)]
        assert item["partner"]["index"] == 2
        assert item["partner"]["text"].tolist() != item["text"].tolist()


def test_pairs_are_a_function_of_seed_and_position_in_any_process(tmp_path):
    pairs = flown(mini_birds(tmp_path))

    def batches(n):
        loader = iter(DataLoader(pairs, 3, sampler=StreamSampler(pairs), num_workers=n))
        return [next(loader) for _ in range(2)]

    first = batches(0)
    assert all(equal(one, other) for one, other in zip(first, batches(1), strict=True))
    assert first[0]["partner"]["images8"].shape == (3, 3, 8, 8)
    assert first[0]["partner"]["labels"].tolist() == first[0]["labels"].tolist()


def test_partners_of_a_label_are_drawn_alike():
    pairs = LabelPairs(named([["a b"]] * 9, classes=2))
    found = partners(pairs, 4, 800)
    assert found.keys() == {0, 2, 6, 8} and min(found.values()) > 150


def test_sampled_categories(tmp_path):
    pairs = coco(mini_coco(tmp_path))  # sets: 0 person cat, 1 person, 2 cat, 3 person chair, 4 none
    assert pairs.rule == "sampled" and pairs.lone == 1
    found = Counter(
        (item["labels"], item["partner"]["index"]) for item in (pairs[(p, 0)] for p in range(120))
    )
    assert found.keys() == {(0, 1), (0, 3), (1, 2)} and found[1, 2] > 40  # half of all visits
    item = pairs[(0, 3)]
    assert item["labels"] == item["partner"]["labels"] == 0  # nobody else shows a chair
    bare = pairs[(0, 4)]
    assert bare["labels"] == 4 + 4 and bare["partner"]["index"] == 4


def test_any_shared_category(tmp_path):
    pairs = coco(mini_coco(tmp_path), "any")
    found = partners(pairs, 0, 900)
    assert found.keys() == {1, 2, 3} and min(found.values()) > 240
    assert pairs[(0, 0)]["labels"] == 1 and pairs[(0, 4)]["labels"] == 8


def test_in_proportion_to_intersection_over_union(tmp_path):
    pairs = coco(mini_coco(tmp_path), "jaccard")
    found = partners(pairs, 0, 1600)  # 1/2, 1/2 and 1/3
    assert found.keys() == {1, 2, 3}
    assert abs(found[3] / 1600 - 0.25) < 0.04 and abs(found[1] / 1600 - 0.375) < 0.04


def test_the_largest_category(tmp_path):
    pairs = coco(mini_coco(tmp_path), "label")
    assert partners(pairs, 0).keys() == {2} and pairs.lone == 3
    assert pairs[(0, 1)]["labels"] == 0 and pairs[(0, 4)]["labels"] == 8


def test_hidden_labels_find_nobody():
    split = {"labelled_per_class": 2}
    pairs = LabelPairs(named([["a b", "c"]] * 8), split)
    hidden = np.flatnonzero(pairs.entry_labels < 0)
    assert pairs.lone == len(hidden) == 4
    assert pairs[(0, int(hidden[0]))]["labels"] >= 2


def test_faults_are_named(tmp_path):
    mini_coco(tmp_path, labels=False)
    with pytest.raises(DataError, match=r"rule='sampled': .* has no label sets.*instances_train2014\.json"):
        coco(tmp_path, "sampled")
    for rule in (None, "label"):
        message = r"all 5 items share one label.*instances_train2014\.json"
        with pytest.raises(DataError, match=message):
            coco(tmp_path, rule)
    with pytest.raises(ValueError, match=r"rule='jacard'.*did you mean 'jaccard'"):
        coco(tmp_path, "jacard")


def test_a_few_images_make_pairs_of_their_own(tmp_path, capsys):
    pairs = coco(mini_coco(tmp_path), "any")
    capsys.readouterr()
    few = pairs.of(Subset(pairs.source, [1, 3]))
    assert (len(few), few.rule, few.lone, few.max_words) == (2, "any", 0, 4)
    assert few[(0, 0)]["partner"]["index"] == 1 and capsys.readouterr().out == ""
