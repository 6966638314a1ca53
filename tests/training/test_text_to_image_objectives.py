"""Loss terms of AttnGAN and DM-GAN: the reference's numbers, batches of several ranks, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pairs import run_pair
from test_text_games import Captions
from torch import Tensor, nn
from torch.utils.data import Dataset
from toy_games import optimisers, toy_game, weights_of

from tests.models.t2i_filled import asked, close, enlarged, filled, golden, manifest, value
from toolbox import ranks, testing
from toolbox.interfaces import Condition, Discriminator, Sample, TextCodes
from toolbox.losses.damsm import damsm_losses
from toolbox.models.attngan import AttnGANDiscriminator, AttnGANGenerator
from toolbox.models.damsm import DamsmTextEncoder, SmallImageEncoder
from toolbox.models.dmgan import DMGANDiscriminator, DMGANGenerator
from toolbox.registry import build
from toolbox.testing import FakeTurn
from toolbox.training.objectives.text_to_image import (
    ConditioningKL,
    Damsm,
    DamsmMatching,
    DamsmPretraining,
    MatchingAwareAdversarial,
    of_size,
)


class OnceTurn(FakeTurn):
    """Encodes an image once, as the turn of a game does: spectral norm moves with every pass."""

    def encoded(self, discriminator: str, sample: Sample) -> Tensor:
        return self.once(
            (discriminator, id(sample)), lambda: super(OnceTurn, self).encoded(discriminator, sample)
        )

    def score(self, discriminator: str, sample: Sample, condition: Condition | None = None) -> Tensor:
        features = self.encoded(discriminator, sample)
        judged: Any = self.network(discriminator)
        return judged.judge(features, sample.condition if condition is None else condition)


def texts(n: int = 4, seed: int = 0) -> Condition:
    rng = torch.Generator().manual_seed(seed)
    words = torch.randn(n, 6, 5, generator=rng)
    codes = TextCodes(torch.randn(n, 6, generator=rng), words, torch.tensor([5, 2, 1, 3])[:n])
    return Condition(
        labels=torch.tensor([0, 1, 0, 2])[:n], text=torch.ones(n, 5, dtype=torch.int64), codes=codes
    )


def networks() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    return dict(
        generator=AttnGANGenerator(4, 1, 32, 2, 3, 2, 6),
        discriminator=AttnGANDiscriminator(4, 16, 6),
        image_encoder=SmallImageEncoder(6, 16, 8, 4).requires_grad_(False),
    )


def turn_of(moves: str, n: int = 4, **changes: Any) -> FakeTurn:
    """Real images of 32 pixels and the generator's, all with captions."""
    own = {**networks(), **changes}
    own["generator"].train(n > 1)  # BatchNorm wants two
    real = Sample(torch.rand(n, 3, 32, 32, generator=torch.Generator().manual_seed(2)), texts(n))
    turn = OnceTurn(moves, own, real)
    with torch.set_grad_enabled(moves == "generator"):
        latents = torch.randn(n, 5, generator=torch.Generator().manual_seed(3))
        turn._kept["fake"] = own["generator"].generate(latents, texts(n, seed=1))
    return turn


def reference_generator(family: str, stages: int) -> AttnGANGenerator:
    """The first stages of CUB's; they do not depend on later ones."""
    kinds = dict(attngan=AttnGANGenerator, dmgan=DMGANGenerator)
    network = kinds[family](image_size=32 << stages, stages=stages, mask_mode="official", init="normal")
    own = network.state_dict()
    names = manifest(f"{family}_cub_G")
    network.load_state_dict({key: value(key, names[key]) for key in own})
    return network


def check_reference(family: str, size: int, mode: str, stages: int) -> None:
    """errD, gadv and KL; DM-GAN's discriminator steps in eval mode too, as ours in train mode."""
    arrays = golden(f"{family}_cub_losses")
    generator = reference_generator(family, stages).train(mode == "train")
    kinds = dict(attngan=AttnGANDiscriminator, dmgan=DMGANDiscriminator)
    discriminator = kinds[family](image_size=size, init="normal")
    latents, condition = asked(arrays)
    fake = generator.generate(latents, condition)
    if mode == "train":
        close(of_size(fake, 64).images[:, :, ::4, ::4], arrays["train_img64"])
    if mode == "train" and stages == 3:
        close(fake.images[:, :, ::16, ::16], arrays["train_img256"])
    real = Sample(enlarged(arrays[f"real{size}_low"]), condition)
    for player, key in (("discriminator", f"errD{size}"), ("generator", f"gadv{size}")):
        filled(discriminator, f"{family}_cub_D{size}").train(mode == "train" or family == "dmgan")
        turn = OnceTurn(player, dict(generator=generator, discriminator=discriminator), real)
        turn._kept["fake"] = fake
        close(MatchingAwareAdversarial().losses()[player](turn), arrays[f"{key}_{mode}"])
    close(ConditioningKL().divergence(turn), arrays[f"kl_{mode}"])


@torch.no_grad()
@pytest.mark.parametrize("family", ["attngan", "dmgan"])
def test_losses_equal_the_reference(family: str) -> None:
    check_reference(family, 64, "train", stages=1)


@torch.no_grad()
@pytest.mark.slow
@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("size", [64, 128])
@pytest.mark.parametrize("family", ["attngan", "dmgan"])
def test_losses_of_all_sizes_equal_the_reference(family: str, size: int, mode: str) -> None:
    check_reference(family, size, mode, stages=3 if (size, mode) == (128, "train") else size // 64)


@pytest.mark.parametrize(
    "objective",
    [
        MatchingAwareAdversarial(),
        MatchingAwareAdversarial(wrap=True, unconditional=False),
        MatchingAwareAdversarial(mismatched=False),
        ConditioningKL(),
        DamsmMatching(),
    ],
)
def test_the_contract(objective: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked_for_texts(turn: FakeTurn, network: str, n: int) -> Sample:
        generator: Any = turn.networks[network]
        latents = generator.sample_latents(n, torch.Generator().manual_seed(3))
        with torch.set_grad_enabled(turn.moves(network)):
            return generator.generate(latents, texts(n, seed=1))

    monkeypatch.setattr(FakeTurn, "_generate", asked_for_texts)
    real = Sample(torch.rand(4, 3, 32, 32), texts())
    testing.check_objective(objective, networks(), real)


def test_the_contract_of_pretraining() -> None:
    own = dict(
        text_encoder=DamsmTextEncoder(9, 4, 6, dropout=0),
        image_encoder=SmallImageEncoder(6, 16, 8, 4),
        generator=testing.small_networks()["generator"],
    )
    ids = torch.tensor([[1, 2, 0], [3, 0, 0], [4, 5, 6], [7, 8, 0]])
    real = Sample(torch.rand(4, 3, 16, 16), Condition(labels=torch.tensor([0, 1, 0, 1]), text=ids))
    testing.check_objective(DamsmPretraining(), own, real)
    loss = DamsmPretraining().loss(FakeTurn("text_encoder", own, real))
    codes, regions = own["image_encoder"].encode_images(real.images)
    expected = damsm_losses(codes, regions, own["text_encoder"].encode_text(ids), real.condition.labels)
    close(loss, torch.stack(expected).sum(), 1e-5)
    parts = [DamsmPretraining(words=words, sentence=not words) for words in (True, False)]
    close(sum(part.loss(FakeTurn("text_encoder", own, real)) for part in parts), loss, 1e-5)
    other = DamsmPretraining(class_masking=False).loss(FakeTurn("text_encoder", own, real))
    assert float(other.detach()) > float(loss.detach())  # pairs of one class are negatives again


class Judge(Discriminator):
    """Logit of an image and a text: their numbers; 0 without a text. Remembers what it was asked."""

    image_size = 32

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Tensor, Tensor]] = []

    def encode(self, images: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3))

    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        if condition is None or condition.codes is None:
            return 0 * features
        self.asked.append((features, condition.codes.sentence[:, 0]))
        return features + condition.codes.sentence[:, 0]


@torch.no_grad()
@pytest.mark.parametrize(("mismatched", "wrap"), [(True, False), (True, True), (False, False)])
def test_real_images_are_judged_with_the_texts_that_follow(mismatched: bool, wrap: bool) -> None:
    turn = turn_of("discriminator", discriminator=Judge())
    loss = MatchingAwareAdversarial(mismatched=mismatched, wrap=wrap).discriminator_loss(turn)
    of_real, of_fake = turn.real.condition.codes, turn.fake.condition.codes
    assert of_real is not None and of_fake is not None
    x, t = turn.real.images.mean(dim=(1, 2, 3)), of_real.sentence[:, 0]
    y, s = turn.fake.images.mean(dim=(1, 2, 3)), of_fake.sentence[:, 0]
    half = torch.tensor(2.0).log()  # of logit 0
    right, wrong = [F.softplus(-(x + t)).mean(), half], [F.softplus(y + s).mean(), half]
    if mismatched:
        rows = 4 if wrap else 3
        wrong.append(F.softplus(x + t.roll(-1))[:rows].mean())
    close(loss, torch.stack(right).mean() + torch.stack(wrong).mean(), 1e-6)


def test_images_of_another_size() -> None:
    small, large = torch.rand(2, 3, 16, 16), torch.rand(2, 3, 32, 32)
    with_stages = Sample(large, extras=dict(images16=small))
    assert of_size(with_stages, 32) is with_stages and torch.equal(of_size(with_stages, 16).images, small)
    as_bytes = Sample(large, extras=dict(images16=torch.full((2, 3, 16, 16), 255, dtype=torch.uint8)))
    assert (of_size(as_bytes, 16).images == 1).all()
    close(of_size(Sample(torch.full((1, 3, 32, 32), 0.25)), 8).images, torch.full((1, 3, 8, 8), 0.25), 1e-6)
    with pytest.raises(
        ValueError, match=r"judges 64 pixels; the images have 32, and no extras\['images64'\]"
    ):
        of_size(with_stages, 64)


def wrong(objective: Any, turn: FakeTurn, player: str = "generator") -> Any:
    return lambda: objective.losses()[player](turn)


def bare(turn: FakeTurn, **changes: Any) -> FakeTurn:
    """Without some of what the condition has."""
    for sample in (turn.real, turn.fake):
        sample.condition = sample.condition.replace(**changes)
    return turn


def test_what_is_refused() -> None:
    sentences = TextCodes(torch.randn(4, 6))
    adversarial, matching = MatchingAwareAdversarial(), DamsmMatching()
    cases = [
        (
            wrong(adversarial, turn_of("discriminator", 1), "discriminator"),
            "a batch of one has no mismatched caption",
        ),
        (
            wrong(adversarial, bare(turn_of("generator"), codes=None)),
            "MatchingAwareAdversarial needs condition.codes",
        ),
        (wrong(matching, bare(turn_of("generator"), codes=None)), "DamsmMatching needs condition.codes"),
        (
            wrong(matching, bare(turn_of("generator"), codes=sentences)),
            "gives no words; match sentences: words=False",
        ),
        (
            wrong(matching, turn_of("generator", image_encoder=SmallImageEncoder(5, 16, 8, 4))),
            r"regions \(4, 5, 4, 4\) must be .* as in words \(4, 6, 5\)",
        ),
        (
            wrong(ConditioningKL("discriminator"), FakeTurn("discriminator"), "discriminator"),
            r"needs extras\['mu'\] and extras\['logvar'\]; SmallDiscriminator gives none",
        ),
        (
            wrong(DamsmPretraining(), bare(turn_of("generator"), text=["a bird"] * 4), "text_encoder"),
            r"DamsmPretraining needs token ids \(N, L\)",
        ),
        (lambda: DamsmMatching(words=False, sentence=False), "nothing is matched"),
        (lambda: Damsm.__init__(matching, gamma2=0.0), "gamma2=0.0 must be a number above 0"),
    ]
    for make, message in cases:
        with pytest.raises(ValueError, match=message):
            make()


def test_a_game_of_two_stages() -> None:
    """All terms at once, on a batch without smaller images of its own; what stands still stands still."""
    codes = dict(code_dim=6)
    own = dict(
        text_encoder=dict(type="DamsmTextEncoder", n_tokens=9, embedding_dim=4, **codes),
        image_encoder=dict(type="SmallImageEncoder", image_size=16, channels=8, regions=4, **codes),
        generator=dict(
            type="DMGANGenerator",
            channels=4,
            residual_blocks=1,
            image_size=32,
            stages=2,
            noise_dim=3,
            **codes,
        ),
        small=dict(type="AttnGANDiscriminator", channels=4, image_size=16, **codes),
        large=dict(type="DMGANDiscriminator", channels=4, image_size=32, **codes),
    )
    game = toy_game(
        networks=own,
        players=dict(small=["small"], large=["large"], generator=["generator"]),
        phases=[dict(player=player) for player in ("small", "large", "generator")],
        conditioner=dict(type=Captions, uses=dict(encoder="text_encoder")),
        objectives=dict(
            small=dict(type="MatchingAwareAdversarial", discriminator="small"),
            large=dict(type="MatchingAwareAdversarial", discriminator="large", wrap=True),
            damsm=dict(type="DamsmMatching", weight=5.0),
            kl=dict(type="ConditioningKL"),
        ),
        fakes="shared",
    )
    before = weights_of(game.networks)
    batch = dict(
        images=torch.randint(256, (4, 3, 32, 32), dtype=torch.uint8),
        text=torch.randint(1, 9, (4, 3)),
        labels=torch.arange(4) % 3,
        index=torch.arange(4),
    )
    logs = game.train_step(batch, optimisers(game))
    assert {key.partition("/")[0] for key in logs} >= {"small", "large", "damsm", "kl"}
    assert all(bool(torch.isfinite(value)) for value in logs.values())
    moved = {
        key.partition(".")[0]
        for key, value in weights_of(game.networks).items()
        if (value != before[key]).any()
    }
    assert moved == {"generator", "small", "large"}


# Several processes


KEYS = ("images", "text", "labels")


class Captioned(Dataset[dict[str, Any]]):
    """Random images with captions and classes."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        rng = torch.Generator().manual_seed(key[1])
        text = torch.randint(1, 9, (4,), generator=rng)
        text[int(torch.randint(1, 5, (), generator=rng)) :] = 0
        return dict(images=torch.rand(3, 16, 16, generator=rng), text=text, labels=key[1] % 3, index=key[1])


def pretraining_game() -> Any:
    own = dict(
        text_encoder=dict(type="DamsmTextEncoder", n_tokens=9, embedding_dim=4, code_dim=6, dropout=0.0),
        image_encoder=dict(type="SmallImageEncoder", code_dim=6, image_size=16, channels=8, regions=4),
    )
    return build(
        dict(
            type="Game",
            networks=own,
            players=dict(damsm=list(own)),
            phases=[dict(player="damsm")],
            objectives=dict(damsm=dict(type="DamsmPretraining")),
        ),
        "model",
    )


@pytest.mark.slow
def test_two_processes_pretrain_as_one() -> None:
    testing.check_ranks(pretraining_game, Captioned, iterations=2, tolerance=1e-5)


def half() -> slice:
    """This rank's rows of a batch of 4; all of them where there is one process."""
    return slice(2 * ranks.rank(), 2 * ranks.rank() + 2) if ranks.running() else slice(None)


def pretraining_gradients() -> list[Tensor]:
    """Of both encoders; words get theirs transposed."""
    game = pretraining_game()
    items = [Captioned()[i, i] for i in range(4)]
    images, text, labels = [torch.stack([torch.as_tensor(item[key]) for item in items]) for key in KEYS]
    real = Sample(images, Condition(labels=labels, text=text))[half()]
    DamsmPretraining().loss(FakeTurn("text_encoder", dict(game.networks.items()), real)).backward()
    return [p.grad for p in game.parameters() if p.grad is not None]


def adversarial_loss(wrap: bool) -> Tensor:
    """With texts that follow across ranks."""
    whole = turn_of("discriminator", discriminator=Judge())
    turn = OnceTurn("discriminator", whole.networks, whole.real[half()])
    turn._kept["fake"] = whole.fake[half()]
    return MatchingAwareAdversarial(wrap=wrap).discriminator_loss(turn)


def values_of_a_rank() -> list[Tensor]:
    """Averaged over the ranks."""
    values = [*pretraining_gradients(), adversarial_loss(False), adversarial_loss(True)]
    return [ranks.mean_over_ranks(value) for value in values]


def test_two_processes_are_one() -> None:
    alone = values_of_a_rank()
    for values in run_pair(values_of_a_rank):
        for found, expected in zip(values, alone, strict=True):
            close(found, expected)
