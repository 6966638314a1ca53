"""DAMSM's losses: the reference's numbers and gradients, the formulas pair by pair, and what is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity, cross_entropy

from tests.models.t2i_filled import close, golden
from toolbox.interfaces import TextCodes
from toolbox.losses.damsm import (
    damsm_losses,
    matching_losses,
    sentence_scores,
    word_attention,
    word_scores,
)


def texts_of(arrays: dict[str, Tensor]) -> TextCodes:
    return TextCodes(arrays["sent_emb"], arrays["words_emb"], arrays["cap_lens"])


@pytest.mark.parametrize("masked", [True, False])
def test_losses_and_gradients_equal_the_reference(masked: bool) -> None:
    arrays = golden("damsm_losses")
    names = {"region": "greg", "code": "gcode", "words_emb": "gwe", "sent_emb": "gse"}
    inputs = {name: arrays[name].requires_grad_() for name in names}
    suffix, labels = ("_cls", arrays["class_ids"]) if masked else ("_nocls", None)
    losses = damsm_losses(inputs["code"], inputs["region"], texts_of(arrays), labels, (4.0, 5.0, 10.0))
    for loss, name in zip(losses, ("w0", "w1", "s0", "s1"), strict=True):
        close(loss.detach(), arrays[name + suffix])
    torch.stack(losses).sum().backward()
    for name, gradient in names.items():
        found = inputs[name].grad
        assert found is not None
        found = found[:, ::4, ::2, ::2] if name == "region" else found
        close(found, arrays[gradient + suffix], 1e-5)


def test_attention_equals_the_reference() -> None:
    arrays = golden("damsm_losses")
    found = word_attention(arrays["region"], texts_of(arrays), 4.0)[0, 0].unflatten(1, (17, 17))
    close(found[: len(arrays["att0"][0])], arrays["att0"][0], 1e-6)


def small() -> tuple[Tensor, TextCodes]:
    rng = torch.Generator().manual_seed(0)
    words = torch.randn(3, 4, 5, generator=rng)
    codes = TextCodes(torch.randn(3, 4, generator=rng), words, torch.tensor([5, 2, 1]))
    return torch.randn(2, 4, 3, 3, generator=rng), codes


@pytest.mark.parametrize("paper_power", [False, True])
def test_a_score_is_the_formula_of_its_pair(paper_power: bool) -> None:
    regions, texts = small()
    scores = word_scores(regions, texts, 4.0, 5.0, paper_power)
    for i, image in enumerate(regions.flatten(2)):
        for j, words in enumerate(texts.words):
            words = words[:, : texts.lengths[j]]  # (D, L)
            shares = (words.t() @ image).softmax(dim=0)
            seen = image @ (4 * shares).softmax(dim=1).t()  # (D, L)
            total = (5 * cosine_similarity(seen, words, dim=0)).exp().sum()
            close(scores[i, j], (total ** (1 / 5) if paper_power else total).log(), 1e-5)


def test_padding_changes_nothing() -> None:
    regions, texts = small()
    longer = torch.cat([texts.words, torch.full((3, 4, 2), 7.0)], dim=2)
    close(word_scores(regions, texts.replace(words=longer)), word_scores(regions, texts), 1e-6)


def test_pairs_of_one_class_are_left_out() -> None:
    scores = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([2, -1, 2, -1])
    masked = scores.clone()
    masked[0, 2] = masked[2, 0] = -torch.inf
    own = torch.arange(4)
    images, texts = matching_losses(scores, labels)
    assert torch.equal(images, cross_entropy(masked, own))
    assert torch.equal(texts, cross_entropy(masked.t(), own))
    assert float(matching_losses(scores, torch.zeros(4))[0]) == 0  # nobody is a negative
    assert [float(loss) for loss in matching_losses(torch.randn(1, 1))] == [0, 0]


def test_what_does_not_fit_together() -> None:
    regions, texts = small()
    with pytest.raises(ValueError, match="these text codes have no words"):
        word_scores(regions, texts.replace(words=None))
    with pytest.raises(ValueError, match=r"regions \(2, 3, 3, 3\) must be .* as in words \(3, 4, 5\)"):
        word_scores(regions[:, :3], texts)
    with pytest.raises(ValueError, match=r"codes of images \(2, 3\) and of sentences \(3, 4\)"):
        sentence_scores(torch.randn(2, 3), texts.sentence)
    with pytest.raises(ValueError, match=r"scores must be \(N, N\), got \(2, 3\)"):
        matching_losses(torch.randn(2, 3))
    with pytest.raises(ValueError, match=r"labels have shape \(3,\), expected \(2,\)"):
        matching_losses(torch.randn(2, 2), torch.zeros(3))
