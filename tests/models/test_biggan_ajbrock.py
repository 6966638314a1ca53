"""The ajbrock layout: its raw state dicts load by themselves, and the outputs are the reference's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.models import name_seeded
from toolbox.interfaces import Condition
from toolbox.models.biggan_ajbrock import (
    AjbrockDiscriminator,
    AjbrockGenerator,
    AjbrockSharedGenerator,
    from_ajbrock,
)

DATA = Path(__file__).parent.parent / "data" / "biggan"
GENERATORS = {"aj_c10_w16": AjbrockGenerator, "aj_hier_shared_w16": AjbrockSharedGenerator}


def reference_state(name: str, network: str) -> dict[str, torch.Tensor]:
    return name_seeded.state(json.loads((DATA / f"{name}_{network}.json").read_text()))


def golden(name: str) -> dict[str, torch.Tensor]:
    with np.load(DATA / f"{name}_seed0.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays}


@torch.no_grad()
@pytest.mark.parametrize("name", GENERATORS)
def test_generator(name: str) -> None:
    network, arrays = GENERATORS[name](16).eval(), golden(name)
    network.load_state_dict(reference_state(name, "G"))
    images = network(arrays["z"], Condition(labels=arrays["y"]))
    torch.testing.assert_close(images, arrays["img"], rtol=1e-4, atol=1e-4 * float(arrays["img"].abs().max()))
    soft = network(arrays["z"], Condition(weights=torch.eye(10)[arrays["y"]]))
    torch.testing.assert_close(soft, images, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", GENERATORS)
def test_discriminator(name: str) -> None:
    network, arrays = AjbrockDiscriminator(16).eval(), golden(name)
    network.load_state_dict(reference_state(name, "D"))
    scores = network(arrays["x"], Condition(labels=arrays["y"]))
    torch.testing.assert_close(
        scores, arrays["d_score"][:, 0], rtol=1e-4, atol=1e-4 * float(scores.abs().max())
    )


def test_published_parameter_counts() -> None:
    counts = {
        AjbrockGenerator: (64, 4_304_387),
        AjbrockDiscriminator: (64, 4_207_361),
        AjbrockSharedGenerator: (96, 9_231_875),
    }
    for kind, (channels, expected) in counts.items():
        assert sum(p.numel() for p in kind(channels).parameters()) == expected


@torch.no_grad()
def test_sigma_is_that_of_one_power_step() -> None:
    """The reference iterates once from the stored u in eval mode too: sigma = |W v| for unconverged
    vectors.
    """
    state = {"linear.weight": torch.randn(3, 5), "linear.u0": torch.randn(1, 3), "linear.sv0": torch.ones(1)}
    ours = from_ajbrock(state)
    v = nn.functional.normalize(state["linear.u0"] @ state["linear.weight"])
    sigma = ours["linear1.weight_u"] @ state["linear.weight"] @ ours["linear1.weight_v"]
    torch.testing.assert_close(sigma, (state["linear.weight"] @ v.t()).norm())


@pytest.mark.parametrize("kind", [AjbrockGenerator, AjbrockSharedGenerator, AjbrockDiscriminator])
def test_own_state_loads_back_also_inside_another_module(kind: type[nn.Module]) -> None:
    pair = nn.ModuleDict({"a": kind(2), "b": nn.Linear(2, 2)})
    other = nn.ModuleDict({"a": kind(2), "b": nn.Linear(2, 2)})
    other.load_state_dict(pair.state_dict())
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in pair.state_dict().items())


def test_another_width_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"size mismatch for linear0\.weight_orig"):
        AjbrockGenerator(8).load_state_dict(reference_state("aj_c10_w16", "G"))


def test_needs_a_condition() -> None:
    with pytest.raises(ValueError, match="has 10 conditions and got none"):
        AjbrockGenerator(2)(torch.randn(2, 128))
    with pytest.raises(ValueError, match="n_conditions=0: class rows need at least 1"):
        AjbrockGenerator(2, n_conditions=0)
