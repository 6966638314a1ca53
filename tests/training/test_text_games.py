"""What a text-to-image game needs of the core, on networks of a few numbers: captions, codes, pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from toy_games import ToyDiscriminator, optimisers, toy_game, weights_of

from toolbox.config import ConfigError
from toolbox.interfaces import Condition, Conditioner, Generator, Metric, Objective, Sample, TextCodes, Turn
from toolbox.models.batchnorm import standing_statistics
from toolbox.training.evaluation.measure import build_metrics
from toolbox.training.game.game import Game
from toolbox.training.game.phases import PlanError
from toolbox.training.game.sampler import Sampler

WORDS, LENGTH, WIDTH = 10, 3, 4


class Encoder(nn.Module):
    """Codes of token ids; counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(WORDS, WIDTH)
        self.asked: list[int] = []

    def encode_text(self, ids: Tensor, lengths: Tensor) -> TextCodes:
        self.asked.append(len(ids))
        words = self.table(ids).transpose(1, 2)
        return TextCodes(words.mean(2), words, lengths)


class Captions(Conditioner):
    """The real batch's captions; a sampler's are drawn."""

    on_host = True
    class_names = ()

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self._encoder = (encoder,)

    def of_real(self, real: Sample, rng: torch.Generator) -> Condition:
        return real.condition

    def complete(self, condition: Condition) -> Condition:
        if condition.codes is not None:
            return condition
        assert isinstance(condition.text, Tensor)
        lengths = torch.full((len(condition.text),), LENGTH, device=condition.text.device)
        return condition.replace(codes=self._encoder[0].encode_text(condition.text, lengths))

    def sample(self, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Condition:
        return Condition(text=torch.randint(WORDS, (n, LENGTH), generator=rng))


class Painter(Generator):
    """Images and a smaller stage, linear in latents and sentence; ``encoder`` is borrowed for nothing."""

    def __init__(self, encoder: Any = None) -> None:
        super().__init__()
        self.latent_dim, self.image_size = 2, 2
        self.linear = nn.Linear(2 + WIDTH, 12)
        self._encoder = (encoder,)

    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        assert condition is not None and condition.codes is not None
        return self.linear(torch.cat([latents, condition.codes.sentence], 1)).unflatten(1, (3, 2, 2)).tanh()

    def generate(
        self, latents: Tensor, condition: Condition | None = None, rng: torch.Generator | None = None
    ) -> Sample:
        sample = super().generate(latents, condition, rng)
        return sample.replace(extras={"images1": sample.images.mean((2, 3), keepdim=True)})


class Watch(Objective):
    """0 * D(G): remembers what each branch shows; coupled ones see all branches at once."""

    def __init__(self, couples: bool = False, field: str = "images") -> None:
        super().__init__()
        self.couples_branches, self.field = couples, field
        self.turns: list[list[tuple[Sample, Sample]]] = []

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        return {"generator": self.loss}

    def loss(self, turn: Turn) -> Tensor:
        seen = turn.branches if self.couples_branches else [turn]
        self.turns.append([(each.real, each.fake) for each in seen])
        judge = "discriminator" if self.field == "images" else "small"
        return 0 * turn.score(judge, turn.view(turn.fake, self.field)).sum() + 1


def text_game(watch: Mapping[str, Any] | None = None, **changes: Any) -> Game:
    networks = dict(
        encoder=dict(type=Encoder),
        generator=dict(type=Painter, uses=dict(encoder="encoder")),
        discriminator=dict(type=ToyDiscriminator),
        small=dict(type=ToyDiscriminator, image_size=1),
    )
    arguments = dict(
        networks=networks,
        conditioner=dict(type=Captions, uses=dict(encoder="encoder")),
        objectives=dict(
            adversarial=dict(type="WassersteinAdversarial"), watch=dict(type=Watch, **(watch or {}))
        ),
        average=dict(generator=dict(decay=0.5)),
    )
    return toy_game(**{**arguments, **changes})


def item(n: int = 4, seed: int = 0) -> dict[str, Any]:
    rng = torch.Generator().manual_seed(seed)
    return dict(
        images=torch.randint(256, (n, 3, 2, 2), generator=rng, dtype=torch.uint8),
        text=torch.randint(WORDS, (n, LENGTH), generator=rng),
        labels=torch.randint(3, (n,), generator=rng),
        index=torch.arange(n) + 10 * seed,
    )


def watched(game: Game) -> list[list[tuple[Sample, Sample]]]:
    objective = game.objectives["watch"]
    assert isinstance(objective, Watch)
    return objective.turns


def test_fakes_carry_the_captions_of_the_real_batch_encoded_once() -> None:
    game = text_game()
    batch = item()
    game.train_step(batch, optimisers(game))
    ((real, fake),) = watched(game)[0]
    assert torch.equal(fake.condition.text, batch["text"]) and torch.equal(real.condition.text, batch["text"])
    assert fake.condition.codes.sentence.shape == (4, WIDTH) and fake.condition.codes.mask.all()
    assert [n for n in game.network("encoder").asked if n == 4][1:] == []


def test_parts_and_splits_carry_their_own_captions() -> None:
    phases = [dict(player="discriminator", repeat=2), dict(player="generator", accumulate=2)]
    game = text_game(phases=phases)
    batch = item(8)
    game.train_step(batch, optimisers(game))
    shown = torch.cat([fake.condition.text for ((_, fake),) in watched(game)])
    assert torch.equal(shown, batch["text"][4:])  # a phase that does not repeat sees the last part


@pytest.mark.parametrize("shared", [False, True])
def test_branches_are_items_of_their_own(shared: bool) -> None:
    game = text_game(branches=["images", "partner"], shared_latents=shared)
    batch = dict(item(), partner=item(seed=1))
    logs = game.train_step(batch, optimisers(game))
    (first,), (second,) = watched(game)
    for (real, fake), expected in ((first, batch), (second, batch["partner"])):
        assert torch.equal(real.condition.labels, expected["labels"])
        assert torch.equal(fake.condition.text, expected["text"])
        assert torch.equal(real.images, expected["images"].float() / 127.5 - 1)
        assert torch.equal(real.index, expected["index"])
    assert torch.equal(first[1].latents, second[1].latents) == shared
    assert logs["watch/generator"] == 1


def test_a_term_that_couples_branches_is_computed_once() -> None:
    game = text_game(watch=dict(couples=True), branches=["images", "partner"])
    logs = game.train_step(dict(item(), partner=item(seed=1)), optimisers(game))
    (seen,) = watched(game)
    assert len(seen) == 2 and logs["watch/generator"] == 1
    assert not torch.equal(seen[0][1].condition.text, seen[1][1].condition.text)


def test_a_stage_of_an_image_is_judged_by_a_network_of_its_own() -> None:
    players = dict(discriminator=["discriminator", "small"], generator=["generator"])
    game = text_game(watch=dict(field="images1"), players=players)
    assert game.train_step(item(), optimisers(game))["watch/generator"] == 1


def test_a_field_that_a_sample_has_not_is_named() -> None:
    game = text_game(watch=dict(field="images7"))
    with pytest.raises(ValueError, match=r"field='images7' is not in this sample, which has \['images1'\]"):
        game.train_step(item(), optimisers(game))


def test_a_branch_that_the_batch_has_not_is_named() -> None:
    game = text_game(branches=["images", "partners"])
    with pytest.raises(PlanError, match=r"names 'partners', the batch has \['images', 'partner'\]"):
        game.train_step(dict(item(), partner=item()), optimisers(game))


def test_averages_and_statistics_share_what_the_generator_borrows() -> None:
    game = text_game()
    averaged = game.network("generator", averaged=True)
    encoder = game.network("encoder")
    assert averaged is not game.network("generator") and averaged._encoder[0] is encoder
    twin = standing_statistics(averaged, lambda number, n: game.draw(n, torch.Generator()), 1, 2)
    assert twin._encoder[0] is encoder and not any("encoder" in name for name in game.average.state_dict())


def test_a_restored_game_samples_the_same() -> None:
    game = text_game()
    game.train_step(item(), optimisers(game))
    other = text_game(seed=1)
    other.load_state_dict(weights_of(game))
    one, two = (Sampler(each)(torch.arange(3)) for each in (game.eval(), other.eval()))
    assert torch.equal(one.images, two.images) and one.condition.codes is not None


def test_a_conditioner_uses_networks_that_there_are() -> None:
    with pytest.raises(PlanError, match=r"model.conditioner uses 'encode', which does not exist.*encoder"):
        text_game(conditioner=dict(type=Captions, uses=dict(encoder="encode")))


class Length(Metric):
    """Mean length of sentence codes, by an encoder of the game; needs no extractor."""

    needs = ("fake",)

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder
        self.reset()

    @property
    def name(self) -> str:
        return "length"

    def update_fake(self, sample: Sample) -> None:
        ids = sample.condition.text
        self.seen.append(self.encoder.encode_text(ids, None).sentence.norm(dim=1))

    def compute(self) -> dict[str, float]:
        return {"": float(torch.cat(self.seen).mean())}

    def state(self) -> dict[str, Any]:
        return {}

    def merge(self, state: dict[str, Any]) -> None:
        return None

    def reset(self) -> None:
        self.seen: list[Tensor] = []


def test_a_metric_borrows_networks_of_the_game_and_needs_no_extractor() -> None:
    game = text_game()
    settings = dict(metrics=dict(length=dict(type=Length, uses=dict(encoder="encoder"))))
    whole, by_mode = build_metrics(game, settings, with_modes=False)
    assert whole["length"].encoder is game.network("encoder") and not by_mode
    settings["metrics"]["length"]["uses"] = dict(encoder="encodre")
    with pytest.raises(ConfigError, match=r"length.uses names 'encodre'.*did you mean 'encoder'"):
        build_metrics(game, settings, with_modes=False)
