"""The conditioner of captions: whose captions fakes have, what can be asked for in words, what is kept."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from toolbox.data.base import ArraySet, DataError
from toolbox.data.caption_stream import CaptionStream
from toolbox.data.stream import Stream
from toolbox.interfaces import Condition, Request, Sample
from toolbox.models.damsm import DamsmTextEncoder
from toolbox.training.game.captions import CaptionConditions

CAPTIONS = [["a red bird", "bird on a tree"], ["two blue fish"], ["green tree"], ["a red fish"]]


def drawings() -> ArraySet:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    return ArraySet(images, [0, 1, 2, 1], ["bird", "fish", "tree"], captions=CAPTIONS)


def stream(**changes: object) -> CaptionStream:
    return CaptionStream(drawings(), **{"max_words": 5, "load": 1.0, **changes})  # type: ignore[arg-type]


def prepared(**changes: object) -> CaptionConditions:
    torch.manual_seed(0)
    data = stream()
    encoder = DamsmTextEncoder(len(data.tokens), embedding_dim=8, code_dim=8).eval()
    conditions = CaptionConditions(encoder, **changes)  # type: ignore[arg-type]
    conditions.prepare(data, SimpleNamespace())
    return conditions


def test_texts_go_in_and_come_out_as_words() -> None:
    conditions = prepared()
    condition = conditions.of_texts(["A red FISH!", "tree"])
    assert conditions.in_words(condition) == ["a red fish", "tree"]
    assert condition.text.shape == (2, 5) and conditions.tokens.vocabulary.words[0] == "<end>"


def test_fakes_have_the_real_captions_or_those_of_the_bank() -> None:
    real = Sample(torch.zeros(2, 3, 8, 8), Condition(text=torch.tensor([[1, 0], [2, 0]])))
    rng = torch.Generator()
    assert prepared().of_real(real, rng) is real.condition
    assert prepared(own_captions=False).of_real(real, rng) is None


def test_a_sampler_draws_captions_of_the_training_set() -> None:
    conditions = prepared(bank=3)
    drawn = conditions.sample(50, torch.Generator().manual_seed(1))
    known = {text for texts in CAPTIONS for text in texts}
    said = set(conditions.in_words(drawn))
    assert said <= known and len(said) == 3
    again = conditions.sample(50, torch.Generator().manual_seed(1))
    assert torch.equal(drawn.text, again.text)


def test_codes_are_made_once() -> None:
    conditions = prepared()
    whole = conditions.complete(conditions.of_texts(["red bird"]))
    assert whole.codes.sentence.shape == (1, 8) and whole.codes.mask.sum() == 2
    assert conditions.complete(whole) is whole
    assert conditions.complete(Condition()).codes is None


def test_asked_in_words() -> None:
    conditions = prepared()
    rng = torch.Generator()
    granted = conditions.fulfil(Request(text="blue bird"), 3, rng)
    assert conditions.in_words(granted) == ["blue bird"] * 3
    (rows,) = conditions.requests().values()
    assert all(request.text == name for name, request in rows.items())
    with pytest.raises(DataError, match="'zebra' has no word that the vocabulary knows"):
        conditions.fulfil(Request(text="zebra"), 1, rng)
    with pytest.raises(ValueError, match=r"cannot be asked for mode=1; it can be asked for: text"):
        conditions.fulfil(Request(mode=1), 1, rng)


def test_bank_and_vocabulary_are_part_of_a_checkpoint() -> None:
    kept = prepared()
    fresh = CaptionConditions(kept._encoder[0])
    with pytest.raises(ValueError, match="no captions are known"):
        fresh.sample(1, torch.Generator())
    assert fresh.requests() == {}
    fresh.load_state_dict(kept.state_dict())
    assert fresh.in_words(fresh.of_texts(["two fish"])) == ["two fish"]
    one, two = (each.sample(5, torch.Generator().manual_seed(0)).text for each in (kept, fresh))
    assert torch.equal(one, two)


def test_faults() -> None:
    with pytest.raises(ValueError, match="Linear, which has no encode_text"):
        CaptionConditions(torch.nn.Linear(1, 1))
    conditions = CaptionConditions(DamsmTextEncoder(4, 8, 8))
    with pytest.raises(ValueError, match=r"needs a CaptionStream .* as training data, not Stream"):
        conditions.prepare(Stream(drawings()), SimpleNamespace())
