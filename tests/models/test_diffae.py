"""Diffusion Autoencoders: equal to the authors', their files, and what a generator and an inverse must do."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import toolbox
from tests.models.diffae_filled import REFERENCE, SMALL, filled
from toolbox.cli.main import main
from toolbox.interfaces import Invertible, Sample
from toolbox.models.diffae import DiffAE
from toolbox.models.from_files import translated
from toolbox.testing import check_generator, check_invertible
from toolbox.weights.errors import WeightsError

DATA = Path(__file__).parents[1] / "data" / "diffae"
STATISTICS = {"conds_mean", "conds_std"}


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).abs().max() / wanted.abs().max())


@torch.no_grad()
def test_it_is_the_authors_network() -> None:
    """Encoder, noise and a DDIM step, within 1e-4 of their code."""
    network = filled(**REFERENCE)
    stored = {key: torch.from_numpy(value) for key, value in np.load(DATA / "tiny_seed0.npz").items()}
    assert relative(network.encode(stored["in_x0"]), stored["out_cond"]) < 1e-4
    noise = network.noise(stored["in_xt"], stored["in_t"], stored["out_cond"])
    assert relative(noise, stored["out_eps"]) < 1e-4
    network.ddim.clip = False
    for i, (step, to) in enumerate(zip(stored["in_t"], stored["in_t_next"], strict=True)):
        alpha = float(network.ddim.alphas[step])
        after = 1.0 if to < 0 else float(network.ddim.alphas[to])
        x, e = stored["in_xt"][i], noise[i]
        assert relative(network.ddim.x0(x, e, alpha), stored["out_ddim_pred_x0"][i]) < 1e-4
        assert relative(network.ddim.move(x, e, alpha, after), stored["out_ddim_x_next"][i]) < 1e-4


def published() -> dict[str, Tensor]:
    shapes = json.loads((DATA / "ffhq256_manifest.json").read_text())
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def test_the_default_is_the_published_model() -> None:
    """All 706 names, in their order, with their shapes; 168,492,291 parameters."""
    with torch.device("meta"):
        network = DiffAE()
    own = {key: value.shape for key, value in network.state_dict().items() if key not in STATISTICS}
    assert list(own.items()) == [(key, value.shape) for key, value in published().items()]
    assert sum(p.numel() for p in network.parameters()) == 168_492_291
    assert sum(p.numel() for p in network.encoder.parameters()) == 30_150_400


def test_a_published_checkpoint_is_described() -> None:
    """The averaged network of the two, without the diffusion model of z_sem."""
    own = published()
    state = {f"{prefix}.{name}": value for prefix in ("model", "ema_model") for name, value in own.items()}
    state |= {"x_T": torch.empty(1), "ema_model.latent_net.layers.0.linear.weight": torch.empty(1)}
    found, config = translated(state, "auto")
    assert config == dict(
        type="DiffAE",
        image_size=256,
        channels=128,
        channel_mult=(1, 1, 2, 2, 4, 4),
        encoder_channel_mult=(1, 1, 2, 2, 4, 4, 4),
        blocks=2,
        attention_resolutions=(16,),
        embed_channels=512,
        style_channels=512,
    )
    assert set(found) == set(own) | STATISTICS


def test_a_checkpoint_of_lightning_opens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As it is, and converted; a tensor that is too many is refused."""
    network = filled(**(SMALL | dict(image_size=32, attention_resolutions=(16,))))
    own = {key: value for key, value in network.state_dict().items() if key not in STATISTICS}
    state = {f"ema_model.{key}": value for key, value in own.items()}
    state |= {f"model.{key}": value + 1 for key, value in own.items()}
    statistics = dict(conds_mean=torch.full((1, 6), 0.5), conds_std=torch.full((1, 6), 2.0))
    content = {"epoch": 3, "state_dict": state | statistics, "optimizer_states": [{"lr": 1e-4}]}
    torch.save(content, tmp_path / "last.ckpt")
    latents = network.sample_latents(1, torch.Generator().manual_seed(0))
    main(
        ["convert", str(tmp_path / "last.ckpt"), "-o", str(tmp_path / "out.safetensors"), "--layout", "auto"]
    )
    for file in ("last.ckpt", "out.safetensors"):
        opened = toolbox.load_generator(tmp_path / file)
        assert isinstance(opened, DiffAE)
        with torch.no_grad():
            assert torch.equal(opened(latents, steps=2), network(latents, steps=2))
        assert torch.equal(opened.conds_mean, torch.full((6,), 0.5))
    content["state_dict"] = state | {"ema_model.head.weight": torch.ones(1)}
    torch.save(content, tmp_path / "odd.ckpt")
    with pytest.raises(WeightsError, match=r"head\.weight"):
        toolbox.load_generator(tmp_path / "odd.ckpt")


def test_it_keeps_the_contract_of_generators() -> None:
    """The encoder makes no images: it has no gradient where images are made, and is frozen here."""
    network = filled(**SMALL)
    network.encoder.requires_grad_(False)
    check_generator(network)


class Known(DiffAE):
    """Sees the noise in images that are N(0, 0.3^2), by Bayes."""

    def noise(self, x: Tensor, steps: Tensor, style: Tensor) -> Tensor:
        a = self.ddim.alphas[steps].to(x)[:, None, None, None]
        return (1 - a).sqrt() * x / (a * 0.3**2 + 1 - a)


def test_it_keeps_the_contract_of_inverses() -> None:
    """Where the noise is known; a network that sees none gives back nothing of an image."""
    images = (0.3 * torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))).clamp(-1, 1)
    check_invertible(Known(**(SMALL | dict(steps=100))), images, bound=0.05, steps=100)
    assert isinstance(DiffAE(**SMALL), Invertible)
    with pytest.raises(
        AssertionError, match=r"DiffAE: images come back with an error of 0\.\d+, allowed is 0.1"
    ):
        check_invertible(DiffAE(**SMALL), images, bound=0.1)


def test_latents_are_z_sem_and_noise() -> None:
    """The prior knows mean and deviation of z_sem; the style is standardised by them."""
    network = filled(**SMALL)
    network.conds_mean.fill_(3.0)
    network.conds_std.fill_(0.5)
    latents = network.sample_latents(500, torch.Generator().manual_seed(0))
    style, x = network.split(latents)
    assert style.shape == (500, 6) and x.shape == (500, 3, 8, 8) and network.style_dim == 6
    assert torch.equal(network.joined(style, x), latents)
    assert abs(float(style.mean()) - 3) < 0.05 and abs(float(style.std()) - 0.5) < 0.05
    standard = network.style_latent(latents)
    assert abs(float(standard.mean())) < 0.1 and abs(float(standard.std()) - 1) < 0.1


@torch.no_grad()
def test_a_source_renders_in_as_many_steps() -> None:
    """Whichever its own; truncation draws z_sem to its mean and leaves the noise."""
    learner, source = (filled(**(SMALL | dict(steps=steps, train_steps=2))) for steps in (3, 5))
    latents = learner.sample_latents(2, torch.Generator().manual_seed(0))
    for mode in (True, False):
        fake = learner.train(mode).generate(latents)
        assert torch.equal(fake.extras["steps"], torch.tensor([2, 2] if mode else [3, 3]))
        assert torch.equal(source.remake(fake).images, fake.images)
    alone = source.remake(Sample(fake.images, latents=latents)).images
    assert torch.equal(alone, source(latents, steps=5))
    nearest = learner.truncated(latents, None, 0.001)
    mean = learner.joined(torch.zeros(2, 6), learner.split(latents)[1])
    torch.testing.assert_close(nearest, learner(mean), rtol=0, atol=0.01)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"channel_mult=\(1, 2, 2\) has 3 level.* image_size=10 divisible"):
        DiffAE(**(SMALL | dict(image_size=10, channel_mult=(1, 2, 2))))
    with pytest.raises(ValueError, match=r"channels=7 must be even"):
        DiffAE(**(SMALL | dict(channels=7)))
    with pytest.raises(ValueError, match=r"steps=2000 must be a whole number from 1 to 1000"):
        DiffAE(**(SMALL | dict(steps=2000)))
    with pytest.raises(
        ValueError, match=r"images of \(3, 4, 8\) cannot be encoded; they must be \(3, 8, 8\)"
    ):
        filled(**SMALL).invert(torch.zeros(1, 3, 4, 8))


def test_steps_computed_again_give_the_same_gradients() -> None:
    """With dropout too, at the memory of one step."""
    from toolbox.training.explain.memory import peak_of

    found: list[list[Tensor]] = []
    peaks: list[int] = []
    for recompute in (False, True):
        network = filled(**{**SMALL, "dropout": 0.3}, recompute=recompute).train()
        latents = network.sample_latents(2, torch.Generator().manual_seed(0))
        torch.manual_seed(0)
        peaks.append(peak_of(lambda: network(latents, steps=6).square().mean().backward()))  # noqa: B023
        found.append([p.grad for p in network.parameters() if p.grad is not None])
    assert len(found[0]) == len(found[1]) > 20
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
    assert peaks[1] < peaks[0] / 2
