"""``weights=`` of a file that keeps the network in a dict of its own: the error says how to name it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from toolbox.models.pggan import PGGANGenerator
from toolbox.registry import BuildError, build
from toolbox.weights.errors import nested_below

SMALL = dict(image_size=8, latent_dim=8, channel_base=64, channel_max=8)


def test_where_it_lies_is_said(tmp_path: Path) -> None:
    network = PGGANGenerator(**SMALL)  # type: ignore[arg-type]
    file = tmp_path / "theirs.pth"
    torch.save({"epoch": 3, "model": {"net": {"g": network.state_dict()}}}, file)
    config = dict(type="PGGANGenerator", **SMALL)
    with pytest.raises(
        BuildError, match=r"the network lies below 'model\.net\.g' in it: weights=dict"
    ) as error:
        build({**config, "weights": str(file)})
    cure = str(error.value).partition("weights=dict(")[2]
    assert cure == f"checkpoint={str(file)!r}, network='model.net.g')"
    found = build({**config, "weights": dict(checkpoint=str(file), network="model.net.g")})
    assert all(torch.equal(value, network.state_dict()[key]) for key, value in found.state_dict().items())


def test_only_a_whole_network_lies_somewhere() -> None:
    own = nn.Linear(2, 2).state_dict()
    inside = {f"a.b.{key}": value for key, value in own.items()}
    assert nested_below({**inside, "c.weight": own["weight"]}, own) == ["a.b"]
    assert nested_below(own, own) == [] and nested_below(inside, {}) == []
