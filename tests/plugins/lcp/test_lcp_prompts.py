"""Cluster prompts on a random tiny CLIP with the real tokenizer."""

from __future__ import annotations

import pytest
import torch

from toolbox_lcp.prompts import ClusterPrompts

NAMES = ["ankle boot", "bag"]


@pytest.mark.parametrize(
    ("position", "sentences"),
    [
        ("end", ["a photo of a ankle boot.", "a photo of a bag."]),
        ("middle", ["a photo ankle boot of a.", "a photo bag of a."]),
        ("front", ["ankle boot a photo of a.", "bag a photo of a."]),
    ],
)
def test_contexts_set_to_words_equal_the_sentence(clip, position, sentences):
    prompts = ClusterPrompts(clip, NAMES, clusters=2, init="a photo of a", init_std=0.0, position=position)
    expected = clip.model.encode_text(clip.tokenize(sentences)).repeat_interleave(2, dim=0)  # all 77 tokens
    torch.testing.assert_close(prompts.encode(clip), expected, atol=1e-5, rtol=0)
    assert prompts.length == 9 < clip.context_length


def test_underscores_become_blanks_and_names_repeat_per_cluster(clip):
    prompts = ClusterPrompts(clip, ["ankle_boot", "bag"], clusters={"ankle_boot": 3, "bag": 1}, context=4)
    assert prompts.n_prompts == 4 and prompts.context.shape == (4, 4, 64)
    assert torch.equal(prompts.ids[0], ClusterPrompts(clip, NAMES, context=4).ids[0])
    assert prompts(torch.arange(4)).shape == (4, prompts.length, 64)


def test_only_requested_rows_are_encoded_and_get_gradients(clip, monkeypatch):
    prompts = ClusterPrompts(clip, NAMES, clusters=3, context=4)
    seen = []
    encode = clip.encode_embeddings
    monkeypatch.setattr(clip, "encode_embeddings", lambda e, ids: seen.append(len(e)) or encode(e, ids))
    prompts.encode(clip, torch.tensor([1, 4])).square().sum().backward()
    touched = prompts.context.grad.flatten(1).any(1).nonzero().flatten()
    assert seen == [2] and touched.tolist() == [1, 4]
    assert all(parameter.grad is None for parameter in clip.parameters())


def test_state_is_the_context_alone(clip):
    prompts = ClusterPrompts(clip, NAMES, clusters=2, context=4)
    assert list(prompts.state_dict()) == ["context"]
    assert prompts.context.detach().std() == pytest.approx(0.02, rel=0.2)


@pytest.mark.parametrize("arguments", [{"shared": True, "context": 4}, {"learn": False}])
def test_ablations_encode_each_class_once(clip, arguments, monkeypatch):
    prompts = ClusterPrompts(clip, NAMES, clusters=3, **arguments)
    seen = []
    encode = clip.encode_embeddings
    monkeypatch.setattr(clip, "encode_embeddings", lambda e, ids: seen.append(len(e)) or encode(e, ids))
    features = prompts.encode(clip)
    assert seen == [2] and features.shape == (6, 32)
    assert torch.equal(features[0], features[2]) and not torch.equal(features[0], features[3])
    assert any(p.requires_grad for p in prompts.parameters()) == ("shared" in arguments)


def test_hand_written_prompt_is_the_sentence(clip):
    prompts = ClusterPrompts(clip, NAMES, clusters=2, learn=False, template="a drawing of a {}")
    texts = clip.encode_texts(["a drawing of a ankle boot.", "a drawing of a bag."])
    torch.testing.assert_close(prompts.encode(clip), texts.repeat_interleave(2, dim=0), atol=1e-5, rtol=0)
    assert prompts.nearest_words(clip) == [[]] * 4


def test_nearest_words_are_named_for_every_cluster(clip):
    prompts = ClusterPrompts(clip, NAMES, clusters=2, init="a photo of a", init_std=0.0)
    words = prompts.nearest_words(clip, top=2)
    assert [[slot[0][0] for slot in prompt] for prompt in words] == [["a", "photo", "of", "a"]] * 4
    assert words[3][1][0][1] == 0 and len(words[0][0]) == 2


@pytest.mark.parametrize("shared", [False, True])
def test_export_and_restore(clip, shared):
    one, other = (ClusterPrompts(clip, NAMES, clusters=2, context=4, shared=shared) for _ in range(2))
    other.restore(one.export())
    assert torch.equal(one.context, other.context)
    if shared:
        ClusterPrompts(clip, ["cat", "dog", "cow"], clusters=1, context=4, shared=True).restore(one.export())


def test_restore_faults_change_nothing(clip):
    prompts = ClusterPrompts(clip, NAMES, clusters=2, context=4)
    before = prompts.context.clone()
    record = prompts.export()
    misspelt = [{**p, "class": p["class"].replace("bag", "bga")} for p in record["prompts"]]
    short = [{**p, "context": torch.ones(3, 64)} for p in record["prompts"]]
    for change, message in [
        ({"format": "x"}, "have format='x'"),
        ({"position": "front"}, "have position='front', here it is 'end'"),
        ({"shared": True}, "have shared=True"),
        ({"prompts": record["prompts"][:3]}, "lack 1 of 4: bag / cluster 1"),
        ({"prompts": misspelt}, "no class is called 'bga' - did you mean 'bag'"),
        ({"prompts": short}, r"is \(3, 64\), expected \(4, 64\)"),
    ]:
        with pytest.raises(ValueError, match=message):
            prompts.restore({**record, **change})
    assert torch.equal(before, prompts.context)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"position": "edn"}, "position='edn' must be one of end, middle, front - did you mean 'end'"),
        ({"template": "a photo"}, "must contain '{}' once"),
        (
            {"context": 80},
            r"prompt of class 'ankle boot' \(context and name: 82 tokens, .* does not fit into CLIP's 77",
        ),
    ],
)
def test_faults(clip, arguments, message):
    with pytest.raises(ValueError, match=message):
        ClusterPrompts(clip, NAMES, **arguments)
