"""The shipped Diffusion Autoencoder: its weights are those of its card, and it inverts held-out portraits."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch

import toolbox
from toolbox.data.base import to_tensor
from toolbox.data.drawn import DrawnPortraits
from toolbox.models.diffae_embedded import WEIGHTS, EmbeddedDiffAE
from toolbox.registry import build
from toolbox.testing import check_invertible


def test_the_weights_are_those_of_the_card() -> None:
    """By digest; the release opens as any other, with the same tensors; random weights are others."""
    card = json.loads(WEIGHTS.with_suffix(".json").read_text())
    assert card["sha256"] == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert card["data"]["fingerprint"] == DrawnPortraits(image_size=32).fingerprint()
    assert WEIGHTS.stat().st_size < 3e6
    network, opened = build(dict(type="EmbeddedDiffAE"), "generator"), toolbox.load_generator(WEIGHTS)
    own, read = network.state_dict(), opened.state_dict()
    assert own.keys() == read.keys() and all(torch.equal(own[key], read[key]) for key in own)
    assert not torch.equal(EmbeddedDiffAE(pretrained=False).conds_mean, network.conds_mean)


@pytest.mark.slow
def test_it_inverts_held_out_portraits() -> None:
    """About as exactly as the card says: 0.098 in 20 steps, where images differ by 0.36."""
    data = DrawnPortraits("test", image_size=32, images=2)
    images = torch.stack([to_tensor(data.image(i)) for i in range(2)])
    check_invertible(EmbeddedDiffAE(), images, bound=0.15, steps=20)
