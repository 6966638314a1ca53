"""Terms that ask whether an image is what its caption says; and how often CLIP looks at a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from test_text_games import LENGTH, WIDTH, WORDS, Captions, Encoder
from torch import Tensor, nn
from torch.utils.data import Dataset
from toy_games import PLAYERS, optimisers, toy_game, weights_of

from tests.models import t2i_filled as filled
from toolbox import testing
from toolbox.interfaces import Condition, Discriminator, Generator, Sample, TextCodes
from toolbox.losses.adversarial import matching_hinge_discriminator
from toolbox.losses.regularisers import matching_aware_penalty
from toolbox.models.clip import Clip
from toolbox.models.galip import GALIPDiscriminator, GALIPGenerator
from toolbox.training.game.game import Game
from toolbox.training.game.turn import GameTurn
from toolbox.training.objectives.matching import ClipSimilarity, MatchingAwarePenalty, MatchingHinge

CLIP = dict(
    embed_dim=WIDTH,
    quick_gelu=True,
    vision_cfg=dict(image_size=8, patch_size=2, layers=3, width=8, head_width=4),
    text_cfg=dict(context_length=8, vocab_size=20, width=8, heads=2, layers=1),
)
TERMS = dict(
    adversarial=dict(type="MatchingHinge"),
    penalty=dict(type="MatchingAwarePenalty", weight=0.1),
)


class Painter(Generator):
    """Images linear in latents and sentence."""

    def __init__(self) -> None:
        super().__init__()
        self.latent_dim, self.image_size = 2, 2
        self.linear = nn.Linear(2 + WIDTH, 12)

    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        assert condition is not None and condition.codes is not None
        return self.linear(torch.cat([latents, condition.codes.sentence], 1)).unflatten(1, (3, 2, 2)).tanh()


class Reader(Discriminator):
    """D(x, s) = tanh <A x, s>."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(12, WIDTH)

    def encode(self, images: Tensor) -> Tensor:
        return self.linear(images.flatten(1))

    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        assert condition is not None and condition.codes is not None
        return (features * condition.codes.sentence).sum(1).tanh()


def turn(moves: str, n: int = 3, seed: int = 0) -> testing.FakeTurn:
    rng = torch.Generator().manual_seed(seed)
    real = Sample(torch.randn(n, 3, 2, 2, generator=rng), filled.said(torch.randn(n, WIDTH, generator=rng)))
    torch.manual_seed(0)
    made = testing.FakeTurn(moves, dict(generator=Painter(), discriminator=Reader()), real)
    fake = Sample(torch.randn(n, 3, 2, 2, generator=rng), real.condition)
    made.once("fake", lambda: fake)
    return made


@pytest.mark.parametrize("wrap", [False, True])
def test_real_images_under_the_next_caption_are_wrong(wrap: bool) -> None:
    now = turn("discriminator")
    network = now.network("discriminator")
    sentence = now.real.condition.codes.sentence
    rows = [(0, 1), (1, 2), (2, 0)] if wrap else [(0, 1), (1, 2)]
    wrong = [network(now.real.images[i : i + 1], filled.said(sentence[j : j + 1])) for i, j in rows]
    real, fake = (network(sample.images, sample.condition) for sample in (now.real, now.fake))
    expected = matching_hinge_discriminator(real, fake, torch.cat(wrong))
    losses = MatchingHinge(wrap=wrap).losses()
    torch.testing.assert_close(losses["discriminator"](now), expected)
    torch.testing.assert_close(losses["generator"](now), -fake.mean())


def test_hinge_by_hand() -> None:
    real, fake, wrong = torch.tensor([0.5, 3.0]), torch.tensor([-2.0, 1.0]), torch.tensor([0.0, 5.0])
    loss = matching_hinge_discriminator(real, fake, wrong, torch.tensor([2.0, 0.0]))
    assert float(loss) == 0.25 + (1.0 + 1.0) / 2


def test_a_batch_of_one_has_no_wrong_caption() -> None:
    message = "a batch of one has no mismatched caption: train_dataloader.batch_size must be 2 or more"
    with pytest.raises(ValueError, match=message):
        MatchingHinge().discriminator_loss(turn("discriminator", n=1))


def test_a_batch_without_codes() -> None:
    now = testing.FakeTurn("discriminator")
    for objective in (MatchingHinge().discriminator_loss, MatchingAwarePenalty().penalty):
        with pytest.raises(ValueError, match="the batch has no codes: give the game a conditioner"):
            objective(now)


def test_penalty_of_a_bilinear_judge() -> None:
    """D = <x, s>: its gradients are s and x."""
    x, s = torch.randn(4, 5, requires_grad=True), torch.randn(4, 5, requires_grad=True)
    unused = torch.randn(4, 2, requires_grad=True)
    penalty = matching_aware_penalty((x * s).sum(1), [x, unused, s], strength=3.0, power=4.0)
    torch.testing.assert_close(penalty, 3 * (x.square().sum(1) + s.square().sum(1)).square().mean())
    with pytest.raises(ValueError, match=r"inputs do not require gradients: call requires_grad_\(\)"):
        matching_aware_penalty((x * s).sum(1), [x.detach(), s])


def test_penalty_is_of_real_images_with_their_own_captions() -> None:
    now = turn("discriminator")
    network = now.network("discriminator")
    images = now.real.images.clone().requires_grad_()
    sentence = now.real.condition.codes.sentence.clone().requires_grad_()
    expected = matching_aware_penalty(network(images, filled.said(sentence)), [images, sentence])
    penalty = MatchingAwarePenalty().penalty(now)
    torch.testing.assert_close(penalty, expected)
    penalty.backward()
    assert network.linear.weight.grad is not None and now.real.images.grad is None


@pytest.mark.parametrize("changes", [dict(strength=-1.0), dict(power=1.0)])
def test_strength_and_power(changes: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        MatchingAwarePenalty(**changes)


# two processes


class CaptionedNumbers(Dataset[dict[str, Any]]):
    def __len__(self) -> int:
        return 64

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        rng = torch.Generator().manual_seed(key[1])
        text = torch.randint(WORDS, (LENGTH,), generator=rng)
        return dict(images=torch.rand(3, 2, 2, generator=rng), text=text, index=key[1])


def reader_game() -> Game:
    return toy_game(
        networks=dict(
            encoder=dict(type=Encoder), generator=dict(type=Painter), discriminator=dict(type=Reader)
        ),
        conditioner=dict(type=Captions, uses=dict(encoder="encoder")),
        objectives=TERMS,
    )


def test_two_processes_train_as_one() -> None:
    """The caption that follows may lie on the other process."""
    testing.check_ranks(reader_game, CaptionedNumbers, tolerance=1e-6)


# CLIP


def galip_game(fakes: str = "shared", **changes: Any) -> Game:
    borrowed = dict(uses=dict(clip="clip"))
    generator = dict(channels=1, image_size=32, latent_dim=2, code_channels=2, bridge_blocks=1, prompted=(1,))
    networks: Mapping[str, Any] = dict(
        encoder=dict(type=Encoder),
        clip=dict(type=Clip, architecture=CLIP),
        generator=dict(type=GALIPGenerator, **generator, **borrowed),
        discriminator=dict(type=GALIPDiscriminator, channels=1, taps=(0, 2), **borrowed),
    )
    terms = dict(
        TERMS,
        adversarial=dict(type="MatchingHinge", wrap=True),
        similarity=dict(type="ClipSimilarity", weight=4.0),
    )
    conditioner = dict(type=Captions, uses=dict(encoder="encoder"))
    game = toy_game(
        networks=networks, conditioner=conditioner, objectives=terms, fakes=fakes, players=PLAYERS, **changes
    )
    with torch.no_grad():
        for part in (game.network("generator"), game.network("discriminator")):
            for parameter in part.parameters():
                parameter.normal_(0, 0.2, generator=torch.Generator().manual_seed(parameter.numel()))
    return game


def captioned(n: int = 4) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(0)
    images = torch.rand(n, 3, 32, 32, generator=rng) * 2 - 1
    return dict(images=images, text=torch.randint(WORDS, (n, LENGTH), generator=rng), index=torch.arange(n))


@pytest.mark.parametrize(("fakes", "looks"), [("shared", 2), ("fresh", 3)])
def test_clip_looks_once_at_the_real_and_once_at_the_shared_fakes(fakes: str, looks: int) -> None:
    game = galip_game(fakes)
    clip: Any = game.network("clip")
    calls: list[int] = []
    clip.model.visual.conv1.register_forward_hook(lambda *seen: calls.append(len(seen[2])))
    game.train_step(captioned(), optimisers(game))
    assert calls == [4] * looks


@pytest.mark.parametrize("order", [("discriminator", "generator"), ("generator", "discriminator")])
def test_looking_once_changes_nothing(order: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Against looking anew in each turn."""
    phases = [dict(player=player) for player in order]
    game = galip_game(phases=phases)
    game.train_step(captioned(), optimisers(game))
    monkeypatch.setattr(GameTurn, "_shared_whole", lambda self, sample: None)
    other = galip_game(phases=phases)
    other.train_step(captioned(), optimisers(other))
    ours, theirs = weights_of(game), weights_of(other)
    torch.testing.assert_close(dict(ours), dict(theirs), rtol=1e-5, atol=1e-7)
    start = weights_of(galip_game(phases=phases))
    moved = {key.split(".")[1] for key in ours if not torch.equal(ours[key], start[key]) and "." in key}
    assert moved >= {"generator", "discriminator"} and not moved & {"clip", "encoder"}


def test_similarity_is_the_cosine_in_clips_space() -> None:
    torch.manual_seed(0)
    clip = Clip(CLIP)
    network = GALIPDiscriminator(clip, channels=1, taps=(0,), clip_double_rescale=False)
    real = Sample(torch.rand(3, 3, 8, 8) * 2 - 1, filled.said(torch.randn(3, WIDTH)))
    now = testing.FakeTurn("generator", dict(discriminator=network, generator=Painter()), real)
    now.once("fake", lambda: real)
    expected = nn.functional.cosine_similarity(clip.encode_images(real.images), real.condition.codes.sentence)
    torch.testing.assert_close(ClipSimilarity().similarity(now), -expected.mean())


def test_similarity_needs_clip_and_its_codes() -> None:
    with pytest.raises(ValueError, match="needs a discriminator that looks through CLIP; Reader does not"):
        ClipSimilarity().similarity(turn("generator"))
    network = GALIPDiscriminator(Clip(CLIP), channels=1, taps=(0,))
    real = Sample(torch.zeros(2, 3, 8, 8), Condition(codes=TextCodes(torch.zeros(2, 7))))
    now = testing.FakeTurn("generator", dict(discriminator=network, generator=Painter()), real)
    now.once("fake", lambda: real)
    with pytest.raises(ValueError, match=r"\(2, 7\) are not those of the discriminator's CLIP, .* \(2, 4\)"):
        ClipSimilarity().similarity(now)
