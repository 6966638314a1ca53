"""Path length, R1 and the losses of StyleGAN2: the reference's numbers, and what several processes must
share.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.models.stylegan_filled import filled, golden, normal
from toolbox import testing
from toolbox.interfaces import RowGenerator, Rows, Sample
from toolbox.losses import regularisers
from toolbox.losses.adversarial import non_saturating
from toolbox.models.stylegan2 import StyleGAN2Generator
from toolbox.models.stylegan2_discriminator import StyleGAN2Discriminator
from toolbox.testing import FakeTurn
from toolbox.training.game.game import Game
from toolbox.training.game.optimizers import PlayerOptimizers
from toolbox.training.objectives.regularisers import PathLength

TINY = dict(image_size=8, channel_base=64, channel_max=8)


def reference() -> tuple[dict[str, Tensor], StyleGAN2Generator, StyleGAN2Discriminator, Tensor, Tensor]:
    size = dict(channel_base=256, channel_max=24, conv_clamp=None)
    return (
        golden("stylegan2", "sg2_losses16"),
        filled(StyleGAN2Generator(16, 0, 16, 24, mapping_layers=2, **size)),
        filled(StyleGAN2Discriminator(16, minibatch_std_group=4, **size)),
        normal("input.z", 4, 16),
        normal("input.img", 4, 3, 16, 16),
    )


def tiny(**changes: object) -> StyleGAN2Generator:
    torch.manual_seed(0)
    return StyleGAN2Generator(**{**TINY, **dict(latent_dim=4, style_dim=6), **changes})


def test_losses_and_r1_equal_the_reference() -> None:
    arrays, generator, discriminator, z, real = reference()
    real.requires_grad_()
    logits, fake = discriminator(real), discriminator(generator(z))
    torch.testing.assert_close(logits, arrays["logits_real"][:, 0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(fake, arrays["logits_fake"][:, 0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(non_saturating.generator(fake), arrays["loss_G"].mean())
    torch.testing.assert_close(
        non_saturating.discriminator(logits, fake), (arrays["loss_D_real"] + arrays["loss_D_fake"]).mean()
    )
    torch.testing.assert_close(regularisers.r1_penalty(real, logits, 10.0), arrays["r1_loss_gamma10"])


def test_gradients_of_the_discriminator_equal_the_reference() -> None:
    arrays, _, discriminator, _, real = reference()
    real.requires_grad_()
    logits = discriminator(real)
    loss = F.softplus(-logits).mean() + regularisers.r1_penalty(real, logits, 10.0)
    torch.testing.assert_close(loss, arrays["Dloss_real_plus_r1"])
    loss.backward()
    for name, parameter in discriminator.named_parameters():
        gradient, stats = parameter.grad.double(), arrays[f"Dgrad.{name}.stats"]
        ours = torch.stack([gradient.mean(), gradient.std(unbiased=False), gradient.abs().max()])
        torch.testing.assert_close(ours, stats, rtol=1e-4, atol=1e-5 * float(stats[2]))


def test_path_lengths_equal_the_reference() -> None:
    arrays, generator, _, z, _ = reference()
    ws = generator.styles(generator.style_latent(z))
    lengths = regularisers.path_lengths(generator.synthesis(ws), ws, normal("input.pl_noise", 4, 3, 16, 16))
    torch.testing.assert_close(lengths, arrays["pl_lengths"])
    mean = lengths.mean() * 0.01
    torch.testing.assert_close(mean, arrays["pl_mean_after"])
    torch.testing.assert_close((lengths - mean).square(), arrays["pl_penalty"])


def test_gradients_of_the_path_length_equal_the_reference() -> None:
    """g of |J_w^T y|: a corner of the first image's."""
    arrays, generator, _, z, _ = reference()
    ws = generator.styles(generator.style_latent(z))
    y = normal("input.pl_noise", 4, 3, 16, 16) / 16
    (gradient,) = torch.autograd.grad((generator.synthesis(ws) * y).sum(), ws)
    head = arrays["pl_grad_head"]
    torch.testing.assert_close(gradient[0, : len(head), : head.shape[1]], head, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("shrink", [1, 2])
def test_the_contract(shrink: int) -> None:
    testing.check_objective(PathLength(shrink=shrink), dict(generator=tiny(style_mixing_prob=1.0).train()))


def test_the_mean_moves_once_an_iteration() -> None:
    objective, networks = (
        PathLength(decay=0.5, shrink=1),
        dict(generator=tiny(noise_mode="const", style_mixing_prob=0.0)),
    )
    objective.penalty(FakeTurn("generator", networks))
    once = float(objective.moved)
    objective.penalty(FakeTurn("generator", networks))
    assert float(objective.moved) == pytest.approx(once)
    objective.penalty(FakeTurn("generator", networks, iteration=4))
    assert float(objective.moved) == pytest.approx(1.5 * once)
    assert float(objective.log()["mean_length"]) == pytest.approx(1.5 * once)
    other = PathLength(decay=0.5, shrink=1)
    other.load_state_dict(objective.state_dict())
    losses = [
        float(term.penalty(FakeTurn("generator", networks, iteration=8)).detach())
        for term in (objective, other)
    ]
    assert losses[0] == losses[1]


def test_parts_of_a_batch_have_the_lengths_of_the_whole() -> None:
    network = tiny(style_mixing_prob=1.0).train()
    latents = torch.randn(4, 4)

    def lengths(rows: Rows) -> Tensor:
        fewer = rows.fewer(2)
        turn = FakeTurn("generator", dict(generator=network), Sample(torch.zeros(len(rows), 3, 8, 8)))
        turn._kept["fewer", 2] = network.generate(latents[fewer.here], None, RowGenerator.of(1, fewer))
        turn.rng = RowGenerator.of(2, rows)
        return PathLength()._lengths(turn).detach()

    parts = torch.cat([lengths(Rows(0, 4, 8)), lengths(Rows(4, 8, 8))])
    torch.testing.assert_close(parts, lengths(Rows.all(8)), rtol=1e-4, atol=1e-5)


def test_a_phase_of_its_own_makes_its_smaller_batch_and_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the images, once: the whole batch is never generated."""
    made: list[int] = []
    forward = type(tiny().synthesis).forward
    monkeypatch.setattr(
        type(tiny().synthesis),
        "forward",
        lambda self, ws, noise: made.append(len(ws)) or forward(self, ws, noise),
    )
    game = Game(
        networks=dict(generator=dict(type="StyleGAN2Generator", latent_dim=4, style_dim=6, **TINY)),
        players=dict(generator=["generator"]),
        phases=[dict(player="generator", every=4)],
        objectives=dict(path_length=dict(type="PathLength")),
    ).train()
    wrappers = PlayerOptimizers(dict(generator=dict(optimizer=dict(type="SGD", lr=1e-3))))(game)
    for _ in range(5):
        game.train_step(dict(images=torch.zeros(6, 3, 8, 8)), wrappers)
    assert made == [3, 3]


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"shrink=0 must be a whole number of 1 or more"):
        PathLength(shrink=0)
    turn = FakeTurn("generator")
    turn._kept["fewer", 2] = Sample(torch.zeros(3, 3, 8, 8))
    with pytest.raises(
        ValueError, match=r"needs a style-based generator; SmallGenerator gives no extras\['ws'\]"
    ):
        PathLength().penalty(turn)
