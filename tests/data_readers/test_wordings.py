"""Sentences of names and keywords: different ones, some of which are kept apart."""

from __future__ import annotations

import pytest
from test_caption_stream import named

from toolbox.data.base import DataError
from toolbox.data.caption_stream import CaptionStream
from toolbox.data.wordings import Wordings

CAPTIONS = [["cat", "pet", "soft", "old", "red"], ["dog", "pet", "loud"], ["sun"]]


def test_seen_and_unseen_sentences_are_about_the_same_images():
    source = named(CAPTIONS)
    seen, unseen = Wordings(source, each=6), Wordings(source, each=6, part="unseen")
    assert [len(texts) for texts in seen.captions][::2] == [4, 1] and len(unseen) == 2
    for row, i in enumerate(unseen.indices):
        assert not set(unseen.captions[row]) & set(seen.captions[i])
        assert all(text.startswith(CAPTIONS[i][0]) for text in unseen.captions[row])
    assert unseen.labels.tolist() == source.labels[[0, 1]].tolist()
    assert unseen.concepts.tolist() == [0, 1] and "unseen" in unseen.title
    assert (
        seen.fingerprint()
        != unseen.fingerprint()
        != Wordings(source, each=6, part="unseen", seed=1).fingerprint()
    )
    assert seen.captions == Wordings(source, each=6).captions


def test_sentences_are_made_once_of_the_same_words(monkeypatch):
    first = Wordings(named(CAPTIONS), each=6).captions
    monkeypatch.setattr(Wordings, "_sentences", None)  # nobody asks for it again
    assert Wordings(named(CAPTIONS), each=6).captions == first
    monkeypatch.undo()
    others = [["bear", *CAPTIONS[0][1:]], *CAPTIONS[1:]]
    assert Wordings(named(others), each=6).captions[0][0].startswith("bear")
    assert Wordings(named(CAPTIONS), each=6, seed=1).captions != first


def test_captions_that_are_sentences_are_told_apart_as_they_are():
    source = named([["a cat", "one cat", "the cat", "cat"]] * 2)
    seen, unseen = (Wordings(source, None, 4, 1, part) for part in ("seen", "unseen"))
    assert sorted(seen.captions[0] + unseen.captions[0]) == sorted(source.captions[0])
    stream = CaptionStream(unseen, vocabulary=seen)
    assert stream[(0, 1)]["group"] == 1


def test_faults_are_named():
    source = named(CAPTIONS)
    with pytest.raises(ValueError, match="unseen=3 of each=3 sentences"):
        Wordings(source, each=3, unseen=3)
    with pytest.raises(ValueError, match="part='test'"):
        Wordings(source, part="test")
    with pytest.raises(DataError, match="no image has an unseen sentence"):
        Wordings(named([["a"], ["b"]]), part="unseen")
