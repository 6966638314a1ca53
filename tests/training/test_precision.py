"""Lower precision, compiled networks, channels last: what they touch, and what they must leave alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from smooth_games import (
    SmoothDiscriminator,
    SmoothGenerator,
    largest_difference,
    smooth_game,
    weights_after,
    whole_batch,
)
from torch import nn
from torch.nn.utils import spectral_norm
from toy_games import optimisers

from toolbox.models.stylegan2 import StyleGAN2Generator
from toolbox.training.game.compiled import Compiled, Entry
from toolbox.training.game.optim_wrappers import ScaledOptimizer
from toolbox.training.game.phases import Phase


class Spy(SmoothDiscriminator):
    """Remembers the type of what its convolution gives."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.dtype] = []
        self.conv.register_forward_hook(lambda module, inputs, output: self.seen.append(output.dtype))


class NormalisedDiscriminator(SmoothDiscriminator):
    def __init__(self) -> None:
        super().__init__()
        spectral_norm(self.conv)
        spectral_norm(self.linear)


class NormalisedGenerator(SmoothGenerator):
    def __init__(self) -> None:
        super().__init__()
        spectral_norm(self.linear)


def spied(**changes: Any) -> Any:
    return smooth_game(
        networks=dict(generator=dict(type=SmoothGenerator), discriminator=dict(type=Spy)), **changes
    )


# -- precision -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "dtype"), [("bf16", torch.bfloat16), ("fp16", torch.float16)])
def test_networks_compute_in_it_and_weights_stay(name: str, dtype: torch.dtype) -> None:
    game = spied(precision=name)
    weights_after(game, 1)
    assert game.network("discriminator").seen.count(dtype) >= 4
    assert {p.dtype for p in game.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_gradient_penalties_stay_in_float32(name: str) -> None:
    """R1 is the only term of its phase, and judges the real images alone."""
    game = spied(
        precision=name,
        phases=[dict(player="discriminator", objectives=["r1"])],
        objectives=dict(r1=dict(type="R1")),
        players=dict(discriminator=["discriminator"]),
    )
    weights_after(game, 1)
    assert set(game.network("discriminator").seen) == {torch.float32}


def test_a_phase_may_have_its_own() -> None:
    game = spied(precision="bf16", d=dict(precision="float32"))
    weights_after(game, 1)
    assert torch.float32 in game.network("discriminator").seen
    assert Phase.read(dict(player="d", precision="fp16")).precision == "fp16"


def test_losses_are_float32() -> None:
    game = smooth_game(precision="bf16")
    logs = game.train_step(whole_batch(0), optimisers(game))
    assert {value.dtype for value in logs.values()} == {torch.float32}


@pytest.mark.parametrize(
    ("name", "bound"), [("bf16", 0.01), ("fp16", 0.05)]
)  # fp16 leaves the first steps out
def test_it_follows_float32(name: str, bound: float) -> None:
    exact, low = (
        weights_after(smooth_game(precision=precision), 5, lr=0.01) for precision in ("float32", name)
    )
    assert 0 < largest_difference(exact, low) < bound


def test_fp16_overflow_costs_a_step_not_the_run() -> None:
    game = smooth_game(precision="fp16")
    wrappers = optimisers(game)
    wrapper = wrappers["generator"]
    assert isinstance(wrapper, ScaledOptimizer)
    wrapper.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    before = copy.deepcopy(game.network("generator").state_dict())
    game.train_step(whole_batch(0), wrappers)
    assert largest_difference(before, game.network("generator").state_dict()) == 0
    assert wrapper.scaler.get_scale() == 2.0**39


def test_the_factor_is_part_of_the_state() -> None:
    one, other = (optimisers(smooth_game(precision="fp16"))["generator"] for _ in range(2))
    one.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)
    one.scaler.scale(torch.ones(()))  # it exists from its first use on
    state = one.state_dict()
    other.load_state_dict(copy.deepcopy(state))
    other.scaler.scale(torch.ones(()))
    assert other.scaler.get_scale() == 8.0
    plain = optimisers(smooth_game())["generator"]
    plain.load_state_dict(copy.deepcopy(state))  # a run may go on without it
    assert "loss_scaler" not in plain.state_dict()


def test_fp16_clips_true_gradients() -> None:
    game = smooth_game(precision="fp16", phases=[dict(player="generator"), dict(player="discriminator")])
    wrappers = optimisers(game, lr=1.0, clip_grad=dict(max_norm=1e-3))
    before = copy.deepcopy(game.network("generator").state_dict())
    game.train_step(whole_batch(0), wrappers)
    after = game.network("generator").state_dict()
    moved = sum(float(((after[k] - before[k]) ** 2).sum()) for k in after) ** 0.5
    assert moved == pytest.approx(1e-3, rel=0.01)


def test_an_unknown_precision() -> None:
    with pytest.raises(ValueError, match=r"model\.precision='bf6' must be one of float32, bf16, fp16"):
        smooth_game(precision="bf6")
    with pytest.raises(ValueError, match="phase of player 'generator': precision"):
        smooth_game(g=dict(precision="half"))


# -- memory format and compilation ---------------------------------------------------------------------------


def test_channels_last_changes_the_layout_alone() -> None:
    game = smooth_game(torch.float64, channels_last=True)
    assert game.network("discriminator").conv.weight.is_contiguous(memory_format=torch.channels_last)
    assert game.receive(whole_batch(0)).images.is_contiguous(memory_format=torch.channels_last)
    assert largest_difference(weights_after(game, 3), weights_after(smooth_game(torch.float64), 3)) < 1e-6


@pytest.fixture
def fresh_compiler() -> Any:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def test_compiled_networks_play_the_same_game(fresh_compiler: None) -> None:
    """``aot_eager`` traces forward and backward as the default does, without a C++ compiler."""
    game = smooth_game(torch.float64, compile=dict(backend="aot_eager"))
    assert largest_difference(weights_after(game, 3), weights_after(smooth_game(torch.float64), 3)) < 1e-12
    assert game.entry("discriminator", "encode") is not game.network("discriminator").encode


def test_spectral_normalisation_is_compiled_around(fresh_compiler: None) -> None:
    """Its vectors turn as often as without, and two judgements in one turn keep their backward
    passes apart.
    """

    def game(**changes: Any) -> Any:
        found = smooth_game(
            torch.float64,
            objectives=dict(adversarial=dict(type="HingeAdversarial")),
            phases=[dict(player="discriminator"), dict(player="generator")],
            **changes,
        )
        return found

    def networks() -> dict[str, Any]:
        return dict(
            generator=dict(type=NormalisedGenerator), discriminator=dict(type=NormalisedDiscriminator)
        )

    plain = game(networks=networks())
    compiled = game(networks=networks(), compile=dict(backend="aot_eager"))
    assert largest_difference(weights_after(compiled, 4), weights_after(plain, 4)) < 1e-12


def test_compilation_leaves_state_and_copies_alone(fresh_compiler: None) -> None:
    game, plain = smooth_game(compile=dict(backend="eager")), smooth_game()
    assert list(game.state_dict()) == list(plain.state_dict())
    weights_after(game, 1)
    twin = copy.deepcopy(game.network("generator"))
    for parameter in twin.parameters():
        torch.nn.init.zeros_(parameter)
    condition = game.conditioner.sample(2, torch.Generator().manual_seed(0))
    assert not twin(
        torch.ones(2, 4), condition
    ).any()  # the copy's own weights, not those it was compiled with


@pytest.mark.slow
def test_of_a_style_based_generator_what_training_calls_is_compiled(fresh_compiler: None) -> None:
    """``generate`` goes past the network's own call: mapping and synthesis are the entries."""
    torch.manual_seed(0)
    plain = StyleGAN2Generator(
        image_size=8, latent_dim=4, style_dim=4, channel_base=32, channel_max=4, mapping_layers=1
    ).train()
    fast = copy.deepcopy(plain)
    Compiled(nn.ModuleDict(dict(generator=fast)), dict(backend="eager"))
    assert all(isinstance(part._compiled_call_impl, Entry) for part in (fast.mapping, fast.synthesis))
    assert copy.deepcopy(fast).synthesis._compiled_call_impl is None
    one, two = (
        network.generate(torch.ones(2, 4), None, torch.Generator().manual_seed(1))
        for network in (plain, fast)
    )
    torch.testing.assert_close(one.images, two.images)


def test_it_is_off_by_default() -> None:
    game = smooth_game()
    assert game.entry("discriminator", "encode") == game.network("discriminator").encode
