"""Each promise that a check makes, broken on purpose: the check must find it and say what it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial, partialmethod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from toolbox import testing
from toolbox.interfaces import (
    Augment,
    Condition,
    Conditioner,
    FeatureExtractor,
    Metric,
    Objective,
    PromptLearner,
    Request,
    Sample,
    Segmenter,
    Turn,
    draw_rows,
)
from toolbox.testing.objectives import SmallDiscriminator, SmallGenerator


def caught(check: Callable[[Any], Any], component: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check(component)


# -- generators ----------------------------------------------------------------------------------------------


def test_the_small_networks_pass() -> None:
    testing.check_generator(SmallGenerator())
    testing.check_discriminator(SmallDiscriminator(), image_size=8)


class LoudGenerator(SmallGenerator):
    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        return 20 * super().forward(latents, condition)


class WrongStyle(SmallGenerator):
    def style_latent(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        return latents[:, :1]


class CouplingStyle(SmallGenerator):
    def style_latent(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        return latents - latents.mean(0)


class LinearGenerator(SmallGenerator):
    """In [-1, 1] with the weights it starts with, and not with trained ones."""

    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        return 0.1 * super().forward(latents, condition).atanh()


class UnclippedGenerator(LinearGenerator):
    bounded = False

    def generate(
        self, latents: Tensor, condition: Condition | None = None, rng: torch.Generator | None = None
    ) -> Sample:
        return Sample(self(latents, condition), Condition() if condition is None else condition, latents)


class NoisyGenerator(SmallGenerator):
    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        images = super().forward(latents, condition)
        return (images + 0.1 * torch.randn_like(images)).clamp(-1, 1)


class SocialGenerator(SmallGenerator):
    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        return super().forward(latents - latents.mean(0), condition)


class DeafGenerator(SmallGenerator):
    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        return super().forward(latents, None)


class ConstantGenerator(SmallGenerator):
    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        return super().forward(0 * latents, condition)


class WideGenerator(SmallGenerator):
    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        return super().forward(latents, condition)[:, :, ::2]


class SelfWilledGenerator(SmallGenerator):
    def sample_latents(self, n: int, rng: torch.Generator | None = None) -> Tensor:
        return torch.randn(n, self.latent_dim)


class IdleGenerator(SmallGenerator):
    def __init__(self) -> None:
        super().__init__()
        self.idle = nn.Linear(2, 2)


class LooseGenerator(SmallGenerator):
    def __init__(self) -> None:
        super().__init__()
        self.loose = [nn.Parameter(torch.ones(3))]


class TintedGenerator(SmallGenerator):
    """Draws a plain tensor when it is made: a loaded one has another."""

    def __init__(self) -> None:
        super().__init__()
        self.tint = 0.5 * torch.rand(3, 1, 1)

    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        return super().forward(latents, condition) * self.tint


class NumberedGenerator(TintedGenerator):
    """The same with a number of Python, which only a fresh one shows."""

    def __init__(self) -> None:
        super().__init__()
        self.tint = float(self.tint.mean())  # type: ignore[assignment]


class TrackingGenerator(SmallGenerator):
    """Keeps a mean of its latents in a plain attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0.0

    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        if self.training:
            self.seen = 0.5 * self.seen + 0.5 * float(latents.abs().mean())
        return super().forward(latents - self.seen, condition)


class BoastingGenerator(SmallGenerator):
    feature_layers = ("4x4",)


class LayeredGenerator(SmallGenerator):
    feature_layers, feature_channels = ("8x8",), (3,)

    def features(
        self,
        latents: Tensor,
        condition: Condition | None,
        layers: Sequence[str],
        truncation: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        return {layer: {"8x8": self(latents * truncation, condition)}[layer] for layer in layers}


class MiscountingGenerator(LayeredGenerator):
    feature_channels = (4,)


class UntruncatedGenerator(LayeredGenerator):
    def features(
        self, latents: Tensor, condition: Condition | None, layers: Sequence[str]
    ) -> dict[str, Tensor]:
        return super().features(latents, condition, layers)


class RandomFeaturesGenerator(LayeredGenerator):
    def features(
        self,
        latents: Tensor,
        condition: Condition | None,
        layers: Sequence[str],
        truncation: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        found = super().features(latents, condition, layers, truncation)
        return found if rng is None else {layer: value + torch.randn(1) for layer, value in found.items()}


class ForgetfulGenerator(SmallGenerator):
    def generate(
        self, latents: Tensor, condition: Condition | None = None, rng: torch.Generator | None = None
    ) -> Sample:
        other = Condition(labels=torch.zeros(len(latents), dtype=torch.int64))
        return Sample(self(latents, condition), latents=latents, condition=other)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (WrongStyle, r"style_latent is \(4, 1\), expected"),
        (CouplingStyle, "style_latent of an image depends on the others"),
        (LoudGenerator, r"images run from .* expected \[-1, 1\]"),
        (LinearGenerator, r"with large weights \(end with a tanh.* images run from"),
        (UnclippedGenerator, r"generate \(in eval mode it must clip .* images run from"),
        (NoisyGenerator, "two calls in eval mode"),
        (SocialGenerator, "depends on the others of its batch"),
        (DeafGenerator, "do not depend on condition.labels"),
        (ConstantGenerator, "do not depend on the latents"),
        (WideGenerator, r"images are \(4, 3, 4, 8\), expected \(4, 3, 8, 8\)"),
        (SelfWilledGenerator, "sample_latents is not a function of its rng"),
        (IdleGenerator, r"no gradient reaches the parameters \['idle.weight'"),
        (LooseGenerator, r"loose\[0\] is trainable but not in the state_dict"),
        (TintedGenerator, r"loading its own state_dict .* \(tint: neither parameter nor buffer\)"),
        (
            TrackingGenerator,
            "after a pass in training mode, .* seen moved and is neither parameter",
        ),
        (BoastingGenerator, r"lists feature_layers \['4x4'\] but has no features"),
        (MiscountingGenerator, r"features\['8x8'\] is \(4, 3, 8, 8\), expected \(4, 4, h, w\)"),
        (UntruncatedGenerator, "features must take truncation and rng"),
        (RandomFeaturesGenerator, "features is not a function of its rng"),
        (ForgetfulGenerator, "does not carry the condition"),
        (nn.Identity, "does not inherit"),
    ],
)
def test_generators(broken: type, message: str) -> None:
    caught(testing.check_generator, broken(), message)


def test_a_class_is_made_afresh() -> None:
    testing.check_generator(SmallGenerator)
    caught(testing.check_generator, NumberedGenerator, "loading its own state_dict does not restore")


def test_a_generator_with_feature_layers() -> None:
    testing.check_generator(LayeredGenerator())


# -- discriminators ------------------------------------------------------------------------------------------


class ColumnDiscriminator(SmallDiscriminator):
    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        return super().judge(features, condition)[:, None]


class SplitDiscriminator(SmallDiscriminator):
    def forward(self, images: Tensor, condition: Condition | None = None) -> Tensor:
        return 2 * self.judge(self.encode(images), condition)


class GreedyDiscriminator(SmallDiscriminator):
    def encode(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            images.clamp_(-0.5, 0.5)
        return super().encode(images)


class RelativeDiscriminator(SmallDiscriminator):
    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        logits = super().judge(features, condition)
        return logits - logits.mean()


class BlindDiscriminator(SmallDiscriminator):
    def encode(self, images: Tensor) -> Tensor:
        return super().encode(images.detach())


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (ColumnDiscriminator, r"judge gives \(4, 1\), expected \(4,\)"),
        (SplitDiscriminator, "calling it is not judge"),
        (GreedyDiscriminator, "changes its images in place"),
        (RelativeDiscriminator, "depends on the other images"),
        (BlindDiscriminator, "no gradient reaches its images"),
    ],
)
def test_discriminators(broken: type, message: str) -> None:
    condition = Condition(labels=torch.arange(4) % 3)
    caught(lambda network: testing.check_discriminator(network, 8, condition), broken(), message)


# -- prompt learners -----------------------------------------------------------------------------------------


class Prompts(PromptLearner):
    n_prompts = 3

    def __init__(self) -> None:
        super().__init__()
        self.context = nn.Parameter(torch.arange(3.0)[:, None, None] * torch.ones(3, 2, 4))

    def forward(self, which: Tensor) -> Tensor:
        return self.context[which]

    def encode(self, clip: Any, which: Tensor | None = None) -> Tensor:
        return self(torch.arange(3) if which is None else which).mean(1)

    def export(self) -> dict[str, Any]:
        return {"context": self.context.detach().clone()}

    def restore(self, record: dict[str, Any]) -> None:
        with torch.no_grad():
            self.context.copy_(record["context"])


class FlatPrompts(Prompts):
    def forward(self, which: Tensor) -> Tensor:
        return super().forward(which).flatten(1)


class OrderedPrompts(Prompts):
    def forward(self, which: Tensor) -> Tensor:
        return super().forward(which).cumsum(0)


class DetachedPrompts(Prompts):
    def encode(self, clip: Any, which: Tensor | None = None) -> Tensor:
        return super().encode(clip, which).detach() + 0 * self.context.sum()


class ObjectPrompts(Prompts):
    def export(self) -> dict[str, Any]:
        return {"context": self}


class LostPrompts(Prompts):
    def restore(self, record: dict[str, Any]) -> None:
        pass


class OfLatents(PromptLearner):
    """Two slots of context from a latent, between a start and the word of a name."""

    names = ("photo", "drawing")

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(3, 8)

    def forward(self, which: Tensor, name: str | None = None) -> Tensor:
        row = self.names.index(str(self.named(name)))
        word = torch.full((len(which), 1, 4), float(row))
        return torch.cat([torch.zeros_like(word), self.map(which).view(-1, 2, 4), word], 1)

    def encode(self, clip: Any, which: Tensor | None = None, name: str | None = None) -> Tensor:
        if which is None:
            raise ValueError("pass the latents")
        return self(which, name).mean(1)

    def nearest_words(
        self, clip: Any, top: int = 1, which: Tensor | None = None
    ) -> list[list[list[tuple[str, float]]]]:
        return [[[("word", 0.5)] * top] * 2 for _ in range(0 if which is None else len(which))]


class DeafToNames(OfLatents):
    def forward(self, which: Tensor, name: str | None = None) -> Tensor:
        return super().forward(which, self.named(name) and self.names[0])


class OtherContext(OfLatents):
    def forward(self, which: Tensor, name: str | None = None) -> Tensor:
        return (1 + self.names.index(str(self.named(name)))) * super().forward(which, name)


class AnyName(OfLatents):
    def forward(self, which: Tensor, name: str | None = None) -> Tensor:
        return super().forward(which, name if name in self.names else None)


class LastName(OfLatents):
    def forward(self, which: Tensor, name: str | None = None) -> Tensor:
        return super().forward(which, name or self.names[-1])


class Inventing(OfLatents):
    def encode(self, clip: Any, which: Tensor | None = None, name: str | None = None) -> Tensor:
        return super().encode(clip, torch.zeros(1, 3) if which is None else which, name)


class FewWords(OfLatents):
    def nearest_words(self, *arguments: Any, **more: Any) -> Any:
        return super().nearest_words(*arguments, **more)[:1]


def check_of_latents(learner: PromptLearner) -> None:
    latents = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    testing.check_prompt_learner(learner, clip="any", latents=latents)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (DeafToNames, "the prompts named 'drawing' are those named 'photo'"),
        (OtherContext, "'drawing' have another context"),
        (AnyName, "takes a name that is not among"),
        (LastName, "without a name the first"),
        (Inventing, "without latents must raise ValueError"),
        (FewWords, "gives 1 prompts for 4"),
    ],
)
def test_prompt_learners_of_latents(broken: type, message: str) -> None:
    caught(check_of_latents, broken(), message)


def test_prompts_that_work_pass() -> None:
    testing.check_prompt_learner(Prompts(), clip="any")
    check_of_latents(OfLatents())


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (FlatPrompts, r"expected \(3, L, d_token\)"),
        (OrderedPrompts, "depends on the order"),
        (DetachedPrompts, "no gradient reaches the prompts"),
        (ObjectPrompts, "export gives more than lists, strings and tensors"),
        (LostPrompts, "restore does not bring back"),
    ],
)
def test_prompt_learners(broken: type, message: str) -> None:
    caught(lambda learner: testing.check_prompt_learner(learner, clip="any"), broken(), message)


# -- clusterers ----------------------------------------------------------------------------------------------


def kmeans() -> type:
    from toolbox.registry import REGISTRIES

    return REGISTRIES["clusterer"].get("KMeans")  # type: ignore[return-value]


def without_check(features: Any, at_least: int = 0) -> np.ndarray:
    array = np.asarray(features) if hasattr(features, "__array__") else np.concatenate(list(features))
    return np.nan_to_num(array)


CLUSTERER_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "not self": (
        dict(fit=lambda base, self, features, y=None: base.fit(self, features) and None),
        "fit must return self",
    ),
    "in place": (
        dict(fit=lambda base, self, features, y=None: base.fit(self, _scaled(features))),
        "changes its features in place",
    ),
    "random": (
        dict(fit=lambda base, self, features, y=None: _shuffled(base.fit(self, features))),
        "not deterministic",
    ),
    "arrays only": (
        dict(fit=lambda base, self, features, y=None: base.fit(self, _array_only(features))),
        "does not take an iterator",
    ),
    "scores": (dict(scores=lambda base, self, features: base.scores(self, features)[:, :-1]), "scores is"),
    "softness": (
        dict(membership=lambda base, self, features: 2 * base.membership(self, features)),
        "rows must be >= 0 and sum to 1",
    ),
    "relative": (
        dict(scores=lambda base, self, f: base.scores(self, f) - base.scores(self, f).mean()),
        "a row depends on the other rows",
    ),
    "state": (dict(state=lambda base, self: {"centres": [1, 2]}), "is list, expected a plain array"),
    "state key": (
        dict(state=lambda base, self: {"children": np.zeros(2)}),
        "'children'] cannot be a buffer of a module",
    ),
    "load": (
        dict(load_state=lambda base, self, state: _moved(base.load_state(self, state))),
        "does not restore scores",
    ),
    "NaN": (
        dict(fit=lambda base, self, features, y=None: base.fit(self, without_check(features))),
        "accepts features with a NaN",
    ),
}


def _with_base(method: Callable[..., Any], base: type, self: Any, *arguments: Any) -> Any:
    return method(base, self, *arguments)


def _scaled(features: Any) -> Any:
    if isinstance(features, np.ndarray) and features.ndim == 2:
        features *= 2
    return features


def _shuffled(fitted: Any) -> Any:
    fitted.labels_ = np.random.default_rng().permutation(fitted.labels_)
    return fitted


def _array_only(features: Any) -> Any:
    if not isinstance(features, np.ndarray):
        raise TypeError("arrays only")
    return features


def _moved(loaded: Any) -> Any:
    loaded.centres_ = loaded.centres_ + 0.5
    return loaded


@pytest.mark.parametrize("fault", CLUSTERER_FAULTS)
def test_clusterers(fault: str) -> None:
    methods, message = CLUSTERER_FAULTS[fault]
    base = kmeans()
    bound = {name: partialmethod(partial(_with_base, method, base)) for name, method in methods.items()}
    caught(testing.check_clusterer, type("Broken", (base,), bound)(clusters=3), message)


def test_a_clusterer_that_cannot_be_asked_for_a_number() -> None:
    base = kmeans()

    class Broken(base):  # type: ignore[misc, valid-type]
        def __init__(self, k: int = 3) -> None:
            super().__init__(clusters=k)

    caught(testing.check_clusterer, Broken(), "constructor has no argument 'clusters'")


# -- metrics -------------------------------------------------------------------------------------------------


class Brightness(Metric):
    """|mean real - mean fake|."""

    name = "brightness"

    def __init__(self) -> None:
        self.sums = torch.zeros(4, dtype=torch.float64)

    def _add(self, sample: Sample, place: int) -> None:
        self.sums[place] += sample.images.double().mean((1, 2, 3)).sum()
        self.sums[place + 2] += len(sample)

    def update_real(self, sample: Sample) -> None:
        self._add(sample, 0)

    def update_fake(self, sample: Sample) -> None:
        self._add(sample, 1)

    def compute(self) -> dict[str, float]:
        if not self.sums[3]:
            raise ValueError("no images were fed")
        return {"": float((self.sums[0] / self.sums[2] - self.sums[1] / self.sums[3]).abs())}

    def state(self) -> dict[str, Any]:
        return {"sums": self.sums}

    def merge(self, state: dict[str, Any]) -> None:
        self.sums += state["sums"]

    def reset(self) -> None:
        self.sums.zero_()


class LastBatch(Brightness):
    def _add(self, sample: Sample, place: int) -> None:
        self.sums[place] = sample.images.double().mean((1, 2, 3)).sum()
        self.sums[place + 2] = len(sample)


class MeanOfMeans(Brightness):
    def _add(self, sample: Sample, place: int) -> None:
        self.sums[place] += sample.images.double().mean()
        self.sums[place + 2] += 1


class Unmerged(Brightness):
    def merge(self, state: dict[str, Any]) -> None:
        pass


class Unforgetting(Brightness):
    def reset(self) -> None:
        self.sums[0] = 0


class Eager(Brightness):
    def compute(self) -> dict[str, float]:
        return {"": float((self.sums[0] - self.sums[1]).abs())}


class Tensorial(Brightness):
    def compute(self) -> dict[str, float]:
        return {key: torch.tensor(value) for key, value in super().compute().items()}  # type: ignore[misc]


class Opaque(Brightness):
    def state(self) -> dict[str, Any]:
        return {"sums": self}


class Change(Brightness):
    """Mean distance of an image from its source's."""

    needs = ("pairs",)

    def update_pairs(self, source: Sample, fake: Sample) -> None:
        self.sums[1] += (fake.images - source.images).double().abs().mean((1, 2, 3)).sum()
        self.sums[3] += len(fake)

    def compute(self) -> dict[str, float]:
        self.sums[2] = 1
        return super().compute()


class Unpaired(Brightness):
    needs = ("pairs",)


class OfPairsUnasked(Change):
    needs = ("fake",)
    update_fake = Metric.update_fake


def test_metrics_that_work_pass() -> None:
    testing.check_metric(Brightness())
    testing.check_metric(Change())


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (LastBatch, "depends on the (size|order) of"),
        (MeanOfMeans, "depends on the size"),
        (Unmerged, "two halves do not give"),
        (Unforgetting, "after reset"),
        (Eager, "gives a value when nothing was fed"),
        (Tensorial, "expected a finite float"),
        (Opaque, "named tensors"),
        (Unpaired, "has no update_pairs"),
        (OfPairsUnasked, "has no update_fake"),
    ],
)
def test_metrics(broken: type, message: str) -> None:
    caught(testing.check_metric, broken(), message)


# -- objectives ----------------------------------------------------------------------------------------------


class Base(Objective):
    formulas: ClassVar[dict[str, str]] = {"discriminator": "-E D(x)"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        return {"discriminator": self.loss}

    def loss(self, turn: Turn) -> Tensor:
        return -turn.score("discriminator", turn.real).mean()


class Unreduced(Base):
    def loss(self, turn: Turn) -> Tensor:
        return -turn.score("discriminator", turn.real)


class Infinite(Base):
    def loss(self, turn: Turn) -> Tensor:
        return super().loss(turn) / 0


class Elsewhere(Base):
    def loss(self, turn: Turn) -> Tensor:
        with torch.no_grad():
            return super().loss(turn)


class Diluted(Base):
    def loss(self, turn: Turn) -> Tensor:
        return super().loss(turn) * 0


class Global(Base):
    def loss(self, turn: Turn) -> Tensor:
        return super().loss(turn) * (1 + torch.rand(()))


class Grabbing(Base):
    def loss(self, turn: Turn) -> Tensor:
        for parameter in turn.network("generator").parameters():
            parameter.requires_grad_(True)
        fake = turn.network("generator").generate(turn.fake.latents, turn.fake.condition)
        return super().loss(turn) + turn.score("discriminator", fake).mean()


class Spoiling(Base):
    def loss(self, turn: Turn) -> Tensor:
        turn.real.images.mul_(0.5)
        return super().loss(turn)


class Mute(Base):
    formulas: ClassVar[dict[str, str]] = {}


class Orphaned(Base):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))


class Talking(Base):
    def log(self) -> dict[str, Tensor]:
        return {"loss": 0.5}  # type: ignore[dict-item]


class Aiming(Base):
    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        return {"mapper": self.loss}


def test_the_fake_turn_is_a_turn() -> None:
    assert isinstance(testing.FakeTurn("generator"), Turn)


def test_an_objective_that_works_passes() -> None:
    testing.check_objective(Base())


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Unreduced, r"must be a scalar tensor, got \(6,\)"),
        (Infinite, "the loss is -?inf"),
        (Elsewhere, "the loss has no gradient"),
        (Diluted, "no gradient reaches the network that moves"),
        (Global, "every draw must come from turn.rng"),
        (Grabbing, r"gradients reach parameters that do not move: \['generator"),
        (Spoiling, "changes images in place"),
        (Mute, "formulas has no line"),
        (Orphaned, "nobody would move them"),
        (Talking, "must be a detached scalar"),
        (Aiming, "trains 'mapper', the check has .* pass networks="),
    ],
)
def test_objectives(broken: type, message: str) -> None:
    caught(testing.check_objective, broken(), message)


# -- conditioners --------------------------------------------------------------------------------------------


class Classes(Conditioner):
    def sample(self, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Condition:
        return Condition(labels=torch.randint(5, (n,), generator=rng) if labels is None else labels)


class Disobedient(Classes):
    def sample(self, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Condition:
        return super().sample(n, rng)


class Chancy(Classes):
    def sample(self, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Condition:
        return Condition(labels=torch.randint(5, (n,)) if labels is None else labels)


class Heavy(Classes):
    def sample(self, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Condition:
        return super().sample(n, rng, labels).replace(weights=torch.ones(n, 5))


class Short(Classes):
    def names(self) -> list[str]:
        return ["only one"]


class Counting(Classes):
    calls = 0

    def sample(self, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Condition:
        self.calls += 1
        drawn = super().sample(n, rng, labels)
        return drawn.replace(labels=(drawn.labels + self.calls) % 5) if labels is None else drawn


class Asked(Classes):
    class_names = ("a", "b", "c", "d", "e")


class Deaf(Asked):
    def fulfil(self, request: Request, n: int, rng: torch.Generator) -> Condition:
        self.label_of(request)
        return Condition(labels=torch.full((n,), 4))


class Stingy(Asked):
    def fulfil(self, request: Request, n: int, rng: torch.Generator) -> Condition:
        return super().fulfil(request, 1, rng)


class Obliging(Asked):
    def label_of(self, request: Request) -> int | None:
        known = request.class_name in self.class_names
        return list(self.class_names).index(str(request.class_name)) if known else None


def test_a_conditioner_that_works_passes() -> None:
    testing.check_conditioner(Classes())
    testing.check_conditioner(Asked())


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Disobedient, "ignores the labels"),
        (Chancy, "not a function of its rng"),
        (Heavy, "must be >= 0 and sum to 1"),
        (Short, r"names\(\) has 1 names"),
        (Counting, "not a function of its rng"),
        (Deaf, r"requests\(\)\['class'\]\['a'\] shows another class"),
        (Stingy, "gives conditions of 1 images instead of 3"),
        (Obliging, "which it cannot grant: it must raise ValueError"),
    ],
)
def test_conditioners(broken: type, message: str) -> None:
    caught(testing.check_conditioner, broken(), message)


# -- augmentations and extractors ----------------------------------------------------------------------------


class Shift(Augment):
    def forward(self, images: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return images + 0.1 * draw_rows(lambda n: torch.rand(n, 1, 1, 1, generator=rng), len(images), rng)


class Splitless(Shift):
    def forward(self, images: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return images + 0.1 * torch.rand(len(images), 1, 1, 1, generator=rng)


class Crop(Shift):
    def forward(self, images: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return super().forward(images, rng)[:, :, 1:]


class Chance(Shift):
    def forward(self, images: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return super().forward(images)


class Still(Shift):
    def forward(self, images: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return images * 1


class Rounding(Shift):
    def forward(self, images: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return super().forward(images.detach(), rng)


class Inplace(Shift):
    def forward(self, images: Tensor, rng: torch.Generator | None = None) -> Tensor:
        return images.add_(0.1 * torch.rand(len(images), 1, 1, 1, generator=rng))


def test_an_augmentation_that_works_passes() -> None:
    testing.check_augment(Shift())


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Crop, "the shape must stay"),
        (Chance, "not a function of its rng"),
        (Still, "ignores its rng"),
        (
            Splitless,
            "part of a batch is seen otherwise than in the whole; make every draw through .*draw_rows",
        ),
        (Rounding, "not differentiable"),
        (Inplace, "changes its images in place"),
    ],
)
def test_augments(broken: type, message: str) -> None:
    caught(testing.check_augment, broken(), message)


class Means(FeatureExtractor):
    def __init__(self, frozen: bool = True) -> None:
        super().__init__()
        self.name, self.n_features = "means", 3
        self.scale = nn.Parameter(torch.ones(3), requires_grad=not frozen)

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3)) * self.scale

    def fingerprint(self) -> str:
        return self.scale.detach().numpy().tobytes().hex()


class Double(Means):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).double()


class Centred(Means):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) - images.mean()


class Moody(Means):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * (2 if self.training else 1)


class Anonymous(Means):
    def fingerprint(self) -> str:
        return "0" * 64


class Nameless(Means):
    def __init__(self) -> None:
        super().__init__()
        self.name = "means [of colours]"


def test_an_extractor_that_works_passes() -> None:
    testing.check_extractor(Means())


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (Double, "expected float32"),
        (Centred, "depend on the others"),
        (Moody, "train mode changes its features"),
        (Anonymous, "another weight does not change the fingerprint"),
        (Nameless, "must be a word"),
        (lambda: Means(frozen=False), "must be frozen"),
    ],
)
def test_extractors(broken: Callable[[], Any], message: str) -> None:
    caught(testing.check_extractor, broken(), message)


# -- segmenters ----------------------------------------------------------------------------------------------


class Dots(Segmenter):
    """Two parts, by brightness."""

    def __init__(self) -> None:
        super().__init__()
        self.part_names = ["dark", "bright"]
        self.convolution = nn.Conv2d(3, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.convolution(images)


class NamedTwice(Dots):
    def __init__(self) -> None:
        super().__init__()
        self.part_names = ["same", "same"]


class Coarse(Dots):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images)[:, :, ::2, ::2]


class Relative(Dots):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images - images.mean(dim=0))


class Floating(Dots):
    def labels(self, images: Tensor, size: int | None = None) -> Tensor:
        return super().labels(images, size).float()


class FromOne(Dots):
    def labels(self, images: Tensor, size: int | None = None) -> Tensor:
        return super().labels(images, size) + 1


class Idle(Dots):
    def __init__(self) -> None:
        super().__init__()
        self.spare = nn.Conv2d(3, 2, 1)


def test_a_segmenter_that_works_passes() -> None:
    testing.check_segmenter(Dots())


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (NamedTwice, "two or more different names"),
        (Coarse, r"logits are \(3, 2, 16, 16\), expected \(3, 2, 32, 32\)"),
        (Relative, "depend on the others of its batch"),
        (Floating, "expected int64"),
        (FromOne, "labels run from 1 to 2, there are 2 parts"),
        (Idle, "no gradient reaches the parameters .*spare"),
    ],
)
def test_segmenters(broken: type, message: str) -> None:
    torch.manual_seed(0)  # weights that say both parts
    caught(testing.check_segmenter, broken(), message)


# -- plugins -------------------------------------------------------------------------------------------------


PLUGIN = '''
"""A plugin."""
import toolbox
from pathlib import Path
from torch import nn

class Fine(nn.Module):
    """A network."""

class Bare(nn.Module):
    pass

@toolbox.hookimpl
def plugin_info():
    return dict(title="A plugin")
'''


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("raise RuntimeError('no licence file')", "failed: RuntimeError: no licence file"),
        (
            "@toolbox.hookimpl\ndef register_component(register): ...",
            "hook 'register_component' does not exist - did you mean 'register_components'",
        ),
        (
            "@toolbox.hookimpl\ndef register_components(register): register('network', 'Bare', "
            "'{stem}:Bare')",
            "Bare .* has no docstring",
        ),
        (
            "@toolbox.hookimpl\ndef register_components(register): register('network', 'Gone', "
            "'{stem}:Gone')",
            "has no 'Gone'",
        ),
        (
            "@toolbox.hookimpl\ndef register_components(register): register('generator', 'Fine', "
            "'{stem}:Fine')",
            "does not inherit toolbox.interfaces.Generator",
        ),
        (
            "@toolbox.hookimpl\ndef register_components(register): register('network', 'Game', "
            "'{stem}:Fine')",
            "name 'Game' is taken",
        ),
        ("@toolbox.hookimpl\ndef configs(): return dict(x=Path('nowhere.py'))", "nowhere.py does not exist"),
        ("@toolbox.hookimpl\ndef plugin_info(): return {{}}", "gives no title"),
    ],
)
def test_plugins(tmp_path: Path, request: pytest.FixtureRequest, more: str, message: str) -> None:
    stem = f"plugin_{abs(hash(more))}"
    file = tmp_path / f"{stem}.py"
    file.write_text(PLUGIN + more.format(stem=stem))
    caught(testing.check_plugin, file, message)


def test_a_plugin_that_works_passes(tmp_path: Path) -> None:
    file = tmp_path / "fine_plugin.py"
    file.write_text(
        PLUGIN + "@toolbox.hookimpl\ndef register_components(register): register('network', 'Fine', "
        "'fine_plugin:Fine')"
    )
    assert testing.check_plugin(file).components == {"network": ["Fine"]}
