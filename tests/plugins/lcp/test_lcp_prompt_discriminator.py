"""The prompt discriminator: equations 4 and 5, who gets gradients, what is encoded."""

from __future__ import annotations

import copy

import pytest
import torch

from toolbox.interfaces import Condition
from toolbox_lcp.prompt_discriminator import PromptDiscriminator

PROMPTS = {"type": "ClusterPrompts", "class_names": ["ankle boot", "bag"], "clusters": 2, "context": 2}


@pytest.fixture
def judge(clip):
    """Build a discriminator on the tiny CLIP."""

    def make(prompts=None, **arguments):
        torch.manual_seed(1)
        return PromptDiscriminator(clip, {**PROMPTS, **(prompts or {})}, **{"hidden": 16, **arguments}).eval()

    return make


def some(n=4, seed=0):
    torch.manual_seed(seed)
    return torch.rand(n, 3, 16, 16) * 2 - 1, torch.rand(n, 4)


def test_score_is_equation_5(judge, clip):
    network, (images, weights) = judge(), some()
    h = network.h_img(clip.encode_images(images))
    w_y = weights @ network.h_txt(network.prompts.encode(clip))
    expected = ((w_y + network.w_unc) * h).sum(1) / 4
    torch.testing.assert_close(network(images, Condition(weights=weights)), expected)


def test_affine_in_the_coefficients(judge):
    network, (images, u) = judge(), some()
    features, v = network.encode(images), torch.rand(4, 4)
    mixed = network.judge(features, Condition(weights=0.3 * u + 0.7 * v))
    parts = [network.judge(features, Condition(weights=w)) for w in (u, v)]
    torch.testing.assert_close(mixed, 0.3 * parts[0] + 0.7 * parts[1])


def test_batch_order_and_cluster_order_do_not_matter(judge):
    network, (images, weights) = judge(), some()
    scores = network(images, Condition(weights=weights))
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(network(images[order], Condition(weights=weights[order])), scores[order])
    swap = torch.tensor([1, 0, 3, 2])  # the clusters of each class change places, with their prompts
    with torch.no_grad():
        network.prompts.context.copy_(network.prompts.context[swap].clone())
    torch.testing.assert_close(network(images, Condition(weights=weights[:, swap])), scores)


def test_zero_rows_are_judged_unconditionally(judge):
    network, (images, _) = judge(), some()
    features = network.encode(images)
    scores = network.judge(features, Condition(weights=torch.zeros(4, 4)))
    torch.testing.assert_close(scores, features @ network.w_unc / 4)


def test_only_prompts_that_are_asked_for_are_encoded(judge, clip, monkeypatch):
    network, (images, weights) = judge(), some()
    seen = []
    encode = clip.encode_embeddings
    monkeypatch.setattr(clip, "encode_embeddings", lambda e, ids: seen.append(len(e)) or encode(e, ids))
    weights[:, 1:3] = 0
    network(images, Condition(weights=weights))
    assert seen == [2]


def test_gradients_of_its_own_turn_and_of_the_generators(judge, clip):
    network, (images, weights) = judge().train(), some()
    images.requires_grad_(True)
    network(images.detach(), Condition(weights=weights)).sum().backward()
    own = dict(network.named_parameters())
    assert all(p.grad is not None and p.grad.any() for name, p in own.items() if "bias" not in name)
    network.zero_grad()
    network.requires_grad_(False)  # as a game does when somebody else moves
    network(images, Condition(weights=weights)).sum().backward()
    assert images.grad.any() and all(parameter.grad is None for parameter in own.values())
    assert all(parameter.grad is None for parameter in clip.parameters())


def test_clip_is_borrowed_and_never_changes(judge, clip):
    before = copy.deepcopy(clip.state_dict())
    network, (images, weights) = judge().train(), some()
    assert not any("clip" in name for name in network.state_dict())
    optimiser = torch.optim.Adam(network.parameters(), 1e-2, betas=(0.0, 0.999))
    context = network.prompts.context.detach().clone()
    for _ in range(3):
        optimiser.zero_grad()
        network(images, Condition(weights=weights)).sum().backward()
        optimiser.step()
    assert all(torch.equal(value, before[name]) for name, value in clip.state_dict().items())
    assert not torch.equal(context, network.prompts.context)


def test_lazy_prompts_get_gradients_every_other_step(judge):
    network, (images, weights) = judge(prompt_every=2).train(), some()
    condition = Condition(weights=weights)
    optimiser = torch.optim.SGD(network.parameters(), 1e-3)
    got = []
    for _ in range(4):
        optimiser.zero_grad()
        total = network(images, condition).sum() + network(images, condition).sum()  # one step all the same
        total.backward()
        got.append(network.prompts.context.grad is not None)
        optimiser.step()
    assert got == [True, False, True, False] and int(network.steps) == 4


@pytest.mark.parametrize(("arguments", "encoded"), [({"prompt_every": 3}, 2), ({}, 3)])
def test_texts_that_stand_still_are_encoded_once(judge, clip, arguments, encoded, monkeypatch):
    """Three steps of the generator after one of the prompts; with new ones at every step nothing is kept."""
    network, (images, weights) = judge(**arguments), some()
    seen = []
    encode = clip.encode_embeddings
    monkeypatch.setattr(clip, "encode_embeddings", lambda e, ids: seen.append(len(e)) or encode(e, ids))
    network.requires_grad_(False)
    logits = [network(images, Condition(weights=weights)) for _ in range(2)]
    with torch.no_grad():
        network.prompts.context.add_(1.0)  # the optimiser's step
    moved = network(images, Condition(weights=weights))
    assert torch.equal(*logits) and not torch.equal(logits[0], moved) and len(seen) == encoded


def test_hand_written_prompts_are_encoded_once_in_all(judge, clip, monkeypatch):
    network, (images, weights) = judge(prompts={"learn": False}), some()
    seen = []
    encode = clip.encode_embeddings
    monkeypatch.setattr(clip, "encode_embeddings", lambda e, ids: seen.append(len(e)) or encode(e, ids))
    for moves in (True, False, True):
        network.requires_grad_(moves)
        network.prompts.requires_grad_(False)
        logits = network(images, Condition(weights=weights))
    assert len(seen) == 1 and logits.requires_grad


def test_options(judge):
    images, weights = some()
    condition = Condition(weights=weights)
    unscaled = judge(spectral=False, scale=1.0)(images, condition)
    torch.testing.assert_close(unscaled, 4 * judge(spectral=False)(images, condition))
    assert judge(normalize=True)(images, condition).abs().max() < 4
    fixed = judge(prompts={"learn": False, "context": 16})
    assert fixed(images, condition).shape == (4,)
    assert not any(p.requires_grad for p in fixed.prompts.parameters())


def test_faults(judge):
    network, (images, weights) = judge(), some()
    with pytest.raises(ValueError, match=r"needs condition.weights \(N, S\)"):
        network(images, Condition(labels=torch.zeros(4).long()))
    with pytest.raises(ValueError, match=r"condition.weights is \(4, 3\), expected \(4, 4\)"):
        network(images, Condition(weights=weights[:, :3]))
    with pytest.raises(ValueError, match="prompt_every=0"):
        judge(prompt_every=0)
