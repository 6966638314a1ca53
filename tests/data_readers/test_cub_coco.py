"""CUB and COCO in miniature: names, boxes, captions as texts and ids, labels, and what can be wrong."""

from __future__ import annotations

import numpy as np
import pytest
from caption_makers import (
    BIRDS,
    BOXES,
    COCO,
    WORDS,
    mini_birds,
    mini_coco,
    python2_pickle,
    sentences,
    write_instances,
)
from PIL import Image

from toolbox.data.base import DataError
from toolbox.data.caption_files import read_captions
from toolbox.data.cub_coco import NO_OBJECT, CocoCaptions, CubCaptions, box_crop
from toolbox.data.relabelled import Subset


@pytest.mark.parametrize("protocol", [0, 2])
def test_birds_are_read(tmp_path, protocol):
    birds = CubCaptions(mini_birds(tmp_path, protocol), image_size=32)
    assert birds.labels.tolist() == [0, 0, 1] and birds.classes == ["Laysan Albatross", "Groove Ani"]
    assert birds.concepts.tolist() == [0, 0, 1] and birds.captions_each == 10
    assert birds.vocabulary.words == WORDS and len(birds.captions) == 3
    for i in range(3):
        assert birds.captions[i] == [f"{text.capitalize()}." for text in sentences(i, 10)]
        for k in (0, 9):
            assert birds.vocabulary.decode(birds.caption_ids(i, k)) == sentences(i, 10)[k]
            assert birds.vocabulary.encode(birds.captions[i][k]).tolist() == birds.caption_ids(i, k).tolist()
    assert birds.image(0).shape == (32, 32, 3)
    test = CubCaptions(tmp_path, "test")
    assert len(test) == 1 and test.classes == ["Parakeet Auklet"]
    assert test.vocabulary.decode(test.caption_ids(0, 1)) == sentences(3, 10)[1]
    assert birds.fingerprint() == CubCaptions(tmp_path, image_size=32).fingerprint()
    assert birds.fingerprint() != CubCaptions(tmp_path, image_size=32, crop=False).fingerprint()
    before, text = birds.fingerprint(), next((tmp_path / "text").rglob("*.txt"))
    text.write_text(text.read_text() + "one caption more\n")
    assert before != CubCaptions(tmp_path, image_size=32).fingerprint()


def test_birds_are_cut_out_by_their_boxes(tmp_path):
    birds = CubCaptions(mini_birds(tmp_path))
    whole = np.array(Image.open(tmp_path / "CUB_200_2011/images" / f"{BIRDS['train'][1]}.jpg"))
    # box (11, 5, 20, 13): reach int(0.75 * 20) = 15 around (21, 11), as far as the picture reaches
    assert np.array_equal(birds.picture(1), whole[0:26, 6:36])
    assert CubCaptions(tmp_path, crop=False).picture(1).shape == (48, 72, 3)
    part = Subset(birds, [1])
    assert np.array_equal(part.picture(0), birds.picture(1)) and part.vocabulary is birds.vocabulary
    assert part.caption_ids(0, 3).tolist() == birds.caption_ids(1, 3).tolist()


def test_a_box_outside_of_its_picture_is_named():
    with pytest.raises(DataError, match=r"owl: the box \(90, 5, 4, 4\) lies outside"):
        box_crop(np.zeros((50, 50, 3), np.uint8), (90, 5, 4, 4), "owl")


def test_captions_without_text_files_are_the_words_of_their_ids(tmp_path):
    import shutil

    shutil.rmtree(mini_birds(tmp_path) / "text")
    assert CubCaptions(tmp_path).captions[2] == sentences(2, 10)


def test_coco_is_read(tmp_path):
    coco = CocoCaptions(mini_coco(tmp_path), image_size=16)
    assert coco.classes == ["person", "cat", "chair", NO_OBJECT]
    assert coco.labels.tolist() == [1, 0, 1, 2, 3]
    assert coco.label_sets.astype(int).tolist() == [[1, 1, 0], [1, 0, 0], [0, 1, 0], [1, 0, 1], [0, 0, 0]]
    assert coco.captions_each == 5 and coco.concepts is None and coco.picture(0).shape == (64, 48, 3)
    assert CocoCaptions(tmp_path, "test").classes == ["person", "cat", "chair"]


def test_coco_without_annotations_is_of_one_class(tmp_path):
    coco = CocoCaptions(mini_coco(tmp_path, labels=False))
    assert coco.label_sets is None and coco.classes == ["picture"]


def test_coco_in_the_folders_of_galip(tmp_path):
    mini_coco(tmp_path)
    for split, year in (("train", "train2014"), ("test", "val2014")):
        folder = tmp_path / "images" / year / "jpg"
        folder.mkdir(parents=True)
        for name in COCO[split]:
            (tmp_path / "images" / f"{name}.jpg").rename(folder / f"{name}.jpg")
        assert CocoCaptions(tmp_path, split).picture(0).shape == (64, 48, 3)


def test_captions_are_parsed_once(tmp_path):
    mini_birds(tmp_path)
    first = read_captions(tmp_path / "captions.pickle")
    assert read_captions(tmp_path / "captions.pickle") is first
    (tmp_path / "captions.pickle").write_bytes(
        python2_pickle([[[1]], [[2]], {0: "<end>", 1: "a", 2: "b"}, {"<end>": 0, "a": 1, "b": 2}])
    )
    assert len(read_captions(tmp_path / "captions.pickle")[2]) == 3


VOCABULARY = [dict(enumerate(WORDS)), {word: number for number, word in enumerate(WORDS)}]
WRONG = {
    "captions and images that disagree": ([[[1]] * 31, [[1]], *VOCABULARY], "31 train captions for the 3"),
    "no captions": ([[], [[1]], *VOCABULARY], "0 train captions for the 3 images"),
    "an empty caption": ([[[1]] * 4 + [[]] + [[1]], [[1]], *VOCABULARY], "such as caption 0 of image 2"),
    "an unknown word": (
        [[[1]] * 2 + [[12]], [[1]], *VOCABULARY],
        "caption 2 has the word 12; words are 1 to 11",
    ),
    "the end inside": ([[[1, 0]] * 3, [[1]], *VOCABULARY], "train caption 0 has the word 0"),
    "words as texts": ([[["a"]] * 3, [[1]], *VOCABULARY], "must be whole numbers"),
    "captions of numbers": ([[1] * 3, [[1]], *VOCABULARY], "must be a list of lists"),
    "a gap in the words": ([[[1]] * 3, [[1]], {0: "<end>", 2: "a"}, {"<end>": 0, "a": 2}], "none of id 1"),
    "two dicts": ([[[1]] * 3, [[1]], {0: "<end>", 1: "a"}, {"<end>": 0, "a": 2}], "disagree on 'a'"),
    "another end": ([[[1]] * 3, [[1]], {0: "end", 1: "a"}, {"end": 0, "a": 1}], "first word of a vocabulary"),
    "three things": ([[[1]], [[1]], {}], "must hold"),
    "a dict": ({}, "must hold"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_captions_are_named_in_one_line(tmp_path, name):
    content, said = WRONG[name]
    mini_birds(tmp_path)
    (tmp_path / "captions.pickle").write_bytes(python2_pickle(content))
    with pytest.raises(DataError) as refused:
        CubCaptions(tmp_path)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_one_list_that_is_meant_a_million_times_is_refused(tmp_path):
    mini_birds(tmp_path)
    long = b"](" + b"K\x01" * 3000 + b"eq\x01"
    bomb = b"\x80\x02](](" + long + b"h\x01" * 3000 + b"e](](K\x01eee."
    content = python2_pickle(VOCABULARY)[2:-1]
    (tmp_path / "captions.pickle").write_bytes(bomb[:-2] + content[content.index(b"(") + 1 : -1] + b"e.")
    with pytest.raises(DataError, match="more words than the file has bytes"):
        CubCaptions(tmp_path)


def test_files_that_do_not_fit_together_are_named(tmp_path):
    mini_birds(tmp_path)
    (tmp_path / "train/class_info.pickle").write_bytes(python2_pickle([2, 4, 4]))
    with pytest.raises(DataError, match=r"class 4 is '002\.Laysan_Albatross' and '004\.Groove_Ani'"):
        CubCaptions(tmp_path)
    (tmp_path / "train/class_info.pickle").write_bytes(python2_pickle([2, 2]))
    with pytest.raises(DataError, match="2 classes for 3 images"):
        CubCaptions(tmp_path)
    (tmp_path / "train/filenames.pickle").write_bytes(python2_pickle(["../../secret"]))
    with pytest.raises(DataError, match="leads out of the folder"):
        CubCaptions(tmp_path)


def test_missing_pictures_and_boxes_are_counted(tmp_path):
    mini_birds(tmp_path)
    lines = [f"{i} {name}.jpg" for i, name in enumerate(list(BOXES)[1:], 1)]
    (tmp_path / "CUB_200_2011/images.txt").write_text("\n".join(lines))
    with pytest.raises(DataError, match="1 images have no box, the first is 002"):
        CubCaptions(tmp_path)
    (tmp_path / "CUB_200_2011/images" / f"{BIRDS['train'][2]}.jpg").unlink()
    with pytest.raises(DataError, match="1 of 3 pictures are missing, such as 004"):
        CubCaptions(tmp_path, crop=False)


def test_texts_that_are_missing_or_too_few_are_named(tmp_path):
    mini_birds(tmp_path)
    birds, text = CubCaptions(tmp_path), tmp_path / "text" / f"{BIRDS['train'][0]}.txt"
    text.write_text("one\n\ntwo\n")
    with pytest.raises(DataError, match=r"L_0001\.txt has 2 captions, not 10"):
        birds.captions[0]
    text.unlink()
    with pytest.raises(DataError, match=r"L_0001\.txt is missing"):
        birds.captions[0]


def test_torn_annotations_are_named(tmp_path):
    path = mini_coco(tmp_path) / "annotations/instances_train2014.json"
    path.write_text(path.read_text()[:-9])
    with pytest.raises(DataError, match=r"instances_train2014\.json is torn"):
        CocoCaptions(tmp_path)
    path.write_text('{"annotations": []}')
    with pytest.raises(DataError, match="no file of COCO's instances"):
        CocoCaptions(tmp_path)
    write_instances(path, [(1000, 1, 5)])
    with pytest.raises(DataError, match="annotates none of these images"):
        CocoCaptions(tmp_path)
    with pytest.raises(DataError, match=r"nothing\.json is missing"):
        CocoCaptions(tmp_path, instances=tmp_path / "nothing.json")


EMOJI = dict(type="Wordings", source=dict(type="EmbeddedEmoji", image_size=16))


@pytest.mark.parametrize("kind", [CubCaptions, CocoCaptions])
def test_another_set_where_the_folder_is_missing_and_only_there(tmp_path, kind):
    found = kind(tmp_path / "none", image_size=16, fallback=EMOJI)
    assert found.embedded and found.notice.startswith(f"{tmp_path / 'none'} is missing: using Noto emoji")
    assert found.captions[0] and found.vocabulary is None and found.captions_each is None
    assert found.image(3).shape == (16, 16, 3) and len(found) == len(found.labels)
    with pytest.raises(DataError, match=r"fallback .*have 16 pixels, not image_size=32"):
        kind(tmp_path / "none", image_size=32, fallback=EMOJI)
    with pytest.raises(DataError, match=r"filenames\.pickle"):
        kind(tmp_path, image_size=16, fallback=EMOJI)
