"""DiffusionCLIP's loss around a direction: its value, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.models.diffae_filled import SMALL, filled
from toolbox.registry import BuildError, build
from toolbox.testing import FakeTurn, random_sample
from toolbox_ipl.diffusion_clip import DiffusionClip

FIXED = dict(type="DirectionalClip", direction="fixed", labels=["drawing", "sketch"])


class Pixels(nn.Module):
    """Knows who is who by the pixels."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)


def turn() -> FakeTurn:
    generator, source = filled(**SMALL), filled(**SMALL)
    with torch.no_grad():
        generator.out[2].bias += 0.3
    networks: dict[str, Any] = dict(generator=generator, source=source, pixels=Pixels())
    return FakeTurn("generator", networks, random_sample(3, 8))


def test_the_loss_is_the_published_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """3 (-ln((2 - L) / 2)) + |x - y| + (1 - cos), over the images; where L is 2, it is large and finite."""
    loss: DiffusionClip = build(
        dict(type="DiffusionClip", term=FIXED, identity="pixels", identity_weight=0.5, l1_weight=2.0)
    )
    seen, each = turn(), torch.tensor([0.1, 0.9, 1.5])
    monkeypatch.setattr(loss.term, "per_sample", lambda turn: each)
    fake, source = seen.fake.images, seen.generate("source").images
    identity = 1 - torch.cosine_similarity(fake.flatten(1), source.flatten(1)).mean()
    expected = 3 * -((2 - each) / 2).log().mean() + 2 * (fake - source).abs().mean() + 0.5 * identity
    torch.testing.assert_close(loss.loss(seen), expected)
    assert set(loss.log()) >= {"direction", "l1", "identity"} and not loss.log()
    monkeypatch.setattr(loss.term, "per_sample", lambda turn: torch.tensor([2.0, 2.0, 2.0]))
    assert 30 < loss.loss(seen).item() < 100


def test_formulas_say_what_counts() -> None:
    plain: DiffusionClip = build(dict(type="DiffusionClip", term=FIXED, l1_weight=0))
    assert plain.formulas["generator"].startswith("3 (-ln((2 - L_i) / 2)); L_i = 1 - cos")


def test_bad_input() -> None:
    with pytest.raises(BuildError, match=r"identity_weight=1.0 needs identity, the name of a network"):
        build(dict(type="DiffusionClip", term=FIXED, identity_weight=1.0))
    with pytest.raises(BuildError, match=r"term must be a DirectionalClip, got R1"):
        build(dict(type="DiffusionClip", term=dict(type="R1")))
    with pytest.raises(BuildError, match=r"clip_weight"):
        build(dict(type="DiffusionClip", term=FIXED, clip_weight=-1))
