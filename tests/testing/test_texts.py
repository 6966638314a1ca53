"""The checks with captions: what keeps the contract passes, what does not is named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from toolbox import testing
from toolbox.data.base import ArraySet
from toolbox.data.caption_stream import CaptionStream
from toolbox.interfaces import Condition, Objective, Sample, TextCodes, Turn
from toolbox.models.attngan import AttnGANDiscriminator, AttnGANGenerator
from toolbox.models.damsm import DamsmTextEncoder
from toolbox.registry import build
from toolbox.testing.texts import SmallTextDiscriminator, SmallTextGenerator
from toolbox.training.game.captions import CaptionConditions


def caught(check: Callable[..., None], *arguments: Any, message: str, **named: Any) -> None:
    with pytest.raises(AssertionError, match=message):
        check(*arguments, **named)


# -- generators and discriminators ---------------------------------------------------------------------------


def test_small_networks_and_attngans_keep_the_contract() -> None:
    own = testing.text_networks()
    testing.check_generator(own["generator"], testing.random_texts())
    testing.check_discriminator(own["discriminator"], 8, testing.random_texts())
    torch.manual_seed(0)
    testing.check_generator(AttnGANGenerator(4, 1, 32, 2, 3, 2, 8), testing.random_texts())
    testing.check_discriminator(AttnGANDiscriminator(4, 16, 8), 16, testing.random_texts())


class Deaf(SmallTextGenerator):
    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        return super().forward(latents, None)


class BeyondTheEnd(SmallTextGenerator):
    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        assert condition is not None and condition.codes is not None and condition.codes.words is not None
        sentence = condition.codes.words.mean(dim=2)  # of all places
        return super().forward(latents, Condition(codes=TextCodes(sentence)))


class Forgetful(SmallTextGenerator):
    def generate(self, latents: Tensor, condition: Any = None, rng: Any = None) -> Sample:
        return super().generate(latents, condition, rng).replace(condition=Condition())


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Deaf, r"images do not depend on condition.codes"),
        (BeyondTheEnd, r"depend on word codes beyond a caption's length: see TextCodes.mask"),
        (Forgetful, "does not carry the"),
    ],
)
def test_generators(broken: type, message: str) -> None:
    caught(testing.check_generator, broken(), testing.random_texts(), message=message)


class Indifferent(SmallTextDiscriminator):
    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        return super().judge(features)


def test_discriminators() -> None:
    message = r"Indifferent: logits do not depend on condition.codes"
    caught(testing.check_discriminator, Indifferent(), 8, testing.random_texts(), message=message)


# -- objectives ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        dict(type="MatchingHinge"),
        dict(type="MatchingAwarePenalty"),
        dict(type="MatchingAwareAdversarial"),
        dict(type="DamsmMatching"),
        dict(type="DamsmPretraining"),
        dict(type="LabelContrast"),
        dict(type="LabelContrast", label_loss="unicl", teaches="text_encoder", text_encoder="text_encoder"),
        dict(type="HingeAdversarial", joint=True),
    ],
    ids=lambda config: "-".join(map(str, list(config.values())[:2])),
)
def test_terms_of_captions(config: dict[str, Any]) -> None:
    testing.check_objective(build(config), testing.text_networks(), testing.text_sample())


class Apart(Objective):
    """The two branches' images of a label should be alike; it draws where it may not, or not."""

    couples_branches = True

    def __init__(self, draws: bool) -> None:
        super().__init__()
        self.formulas = {"generator": "|G_1 - G_2|"}
        self.draws = draws

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        return {"generator": self.loss}

    def loss(self, turn: Turn) -> Tensor:
        first, second = turn.branches
        for branch in (first, second):
            assert torch.equal(branch.fake.condition.text, branch.real.condition.text)
        assert torch.equal(first.real.condition.labels, second.real.condition.labels)
        noise = torch.rand(()) if self.draws else 1
        return noise * (first.fake.images - second.fake.images).abs().mean()


def test_a_term_of_both_branches() -> None:
    parts = testing.text_networks(), testing.text_sample()
    testing.check_objective(Apart(draws=False), *parts)
    caught(testing.check_objective, Apart(draws=True), *parts, message="every draw must come from turn.rng")


# -- conditioners --------------------------------------------------------------------------------------------


def stream() -> CaptionStream:
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    texts = [[f"a {colour} {thing}", f"{thing} in {colour}"] for colour in ("red", "blue") for thing in "abc"]
    source = ArraySet(images, [0, 1, 2] * 2, list("abc"), captions=texts)
    return CaptionStream(source, max_words=5, load=1.0)


class Careless(CaptionConditions):
    """Its codes are those of the whole batch."""

    def complete(self, condition: Condition) -> Condition:
        whole = super().complete(condition)
        assert whole.codes is not None
        mean = whole.codes.sentence - whole.codes.sentence.mean(0)
        return whole if whole is condition else whole.replace(codes=whole.codes.replace(sentence=mean))


class Again(CaptionConditions):
    def complete(self, condition: Condition) -> Condition:
        whole = super().complete(condition.replace(codes=None))
        again = 0 if condition.codes is None else 1
        assert whole.codes is not None
        return whole.replace(codes=whole.codes.replace(sentence=whole.codes.sentence + again))


class Backwards(CaptionConditions):
    def in_words(self, condition: Condition) -> list[str]:
        return [" ".join(reversed(text.split())) for text in super().in_words(condition)]


class Short(CaptionConditions):
    def of_real(self, real: Sample, rng: torch.Generator) -> Condition:
        return real.condition[:2]


def checked(kind: type) -> None:
    data = stream()
    torch.manual_seed(0)
    encoder = DamsmTextEncoder(len(data.tokens), embedding_dim=4, code_dim=4).eval()
    game = SimpleNamespace(device=torch.device("cpu"), gather=lambda rows: rows)
    testing.check_conditioner(kind(encoder), data, game)


def test_caption_conditions_keep_the_contract() -> None:
    checked(CaptionConditions)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Careless, "codes of a caption depend on the other captions"),
        (Again, "complete changes a condition that is complete"),
        (Backwards, "its conditions say other words"),
        (Short, "of_real must give a Condition of the 6 real images"),
    ],
)
def test_conditioners(broken: type, message: str) -> None:
    caught(checked, broken, message=message)


# -- metrics -------------------------------------------------------------------------------------------------


def test_metrics_that_borrow_encoders() -> None:
    config = dict(type="ClipScore", uses=dict(encoder="image_encoder", text_encoder="text_encoder"))
    both = testing.text_sample(48), testing.text_sample(48, seed=1)
    testing.check_metric(config, *both)
    caught(
        testing.check_metric,
        {**config, "uses": dict(encoder="clip")},
        *both,
        message="uses 'clip', the check has",
    )
