"""The shipped StyleGAN2-ADA: its weights are those of its card, and its pictures look like what it was
trained on.
"""

from __future__ import annotations

import hashlib
import json

import pytest
import torch

import toolbox
from toolbox.data.base import to_tensor
from toolbox.data.drawn import DrawnPortraits
from toolbox.models.stylegan2_embedded import WEIGHTS, EmbeddedStyleGAN2
from toolbox.registry import build
from toolbox.testing import check_generator


def test_it_is_a_generator() -> None:
    """Under its registered name; the file is under 10 MB."""
    check_generator(build(dict(type="EmbeddedStyleGAN2"), "generator"))
    assert WEIGHTS.stat().st_size < 10e6


def test_the_weights_are_those_of_the_card() -> None:
    """By digest; the release opens as any other, with the same pictures; random weights give others."""
    card = json.loads(WEIGHTS.with_suffix(".json").read_text())
    assert card["sha256"] == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert card["data"]["fingerprint"] == DrawnPortraits().fingerprint()
    ours, released = EmbeddedStyleGAN2().eval().sample(4), toolbox.load_generator(WEIGHTS).sample(4)
    torch.testing.assert_close(ours, released)
    assert not torch.allclose(EmbeddedStyleGAN2(pretrained=False).eval().sample(4), ours, atol=0.1)


@pytest.mark.slow
def test_samples_are_as_far_from_portraits_as_portraits_are_from_each_other() -> None:
    """In mean colour by place, and in spread: a collapsed or broken generator would be far off."""
    data = DrawnPortraits("test", images=300)
    real = torch.stack([to_tensor(data.image(i)) for i in range(300)])
    fake = EmbeddedStyleGAN2().eval().sample(300)
    assert (real.mean(0) - fake.mean(0)).abs().mean() < 0.1
    assert 0.8 < float(fake.std(0).mean() / real.std(0).mean()) < 1.2
