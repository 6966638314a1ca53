"""Captions in an evaluation: whose generated images show, which real images have, and who may judge."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn
from toy_captions import COLOURS, ToyCaptions

from toolbox.config import ConfigError
from toolbox.data.base import ArraySet
from toolbox.data.caption_stream import CaptionStream
from toolbox.interfaces import Metric, Sample, TextCodes
from toolbox.metrics import RPrecision
from toolbox.metrics.told import Told
from toolbox.models.damsm import DamsmTextEncoder, SmallImageEncoder
from toolbox.models.ssagan import SSAGANGenerator
from toolbox.training.evaluation.measure import measure_game
from toolbox.training.evaluation.rehearsal import check_measurable
from toolbox.training.evaluation.settings import check_evaluation
from toolbox.training.game.captions import CaptionConditions
from toolbox.training.game.conditioners import NoConditions
from toolbox.training.game.lone import LoneGenerator

N, WORDS = 24, 6


class Eyes(nn.Module):
    """Knows the colour of a toy image."""

    def encode_images(self, images: Tensor) -> Tensor:
        return 1 - images.mean((2, 3))


class Seer(Eyes):
    """And that of a caption."""

    def encode_texts(self, texts: list[str]) -> Tensor:
        return torch.tensor([[1.0 - (colour in text.split()) for colour in COLOURS] for text in texts])


class Reader(Eyes):
    """And that of ids in a vocabulary."""

    def __init__(self, words: list[str]) -> None:
        super().__init__()
        table = [[float(colour == word) for colour in COLOURS] for word in words]
        self.table = nn.Parameter(torch.tensor(table))

    def encode_text(self, ids: Tensor, lengths: Tensor | None) -> TextCodes:
        return TextCodes(1 - self.table[ids].sum(1))


class Heard(Metric):
    """What a metric is fed."""

    needs: tuple[str, ...] = ("real", "fake", "captions", "labels")
    made: ClassVar[list[Heard]] = []

    def __init__(self) -> None:
        self.made.append(self)
        self.reset()

    @property
    def name(self) -> str:
        return "heard"

    def update_real(self, sample: Sample) -> None:
        self.real.append(sample)

    def update_fake(self, sample: Sample) -> None:
        self.fake.append(sample)

    def compute(self) -> dict[str, float]:
        return {"": float(sum(map(len, self.fake)))}

    def state(self) -> dict[str, Any]:
        return {}

    def merge(self, state: dict[str, Any]) -> None:
        return None

    def reset(self) -> None:
        self.real: list[Sample] = []
        self.fake: list[Sample] = []


class TextGame(LoneGenerator):
    """A generator with the conditioner of a game."""

    def completed(self, condition: Any) -> Any:
        return self.conditioner.complete(condition)


def text_game(prepared: bool = True) -> Any:
    torch.manual_seed(0)
    stream = CaptionStream(ToyCaptions(), max_words=WORDS, load=1.0)
    encoder = DamsmTextEncoder(len(stream.tokens), 8, 8).eval()
    game = TextGame(SSAGANGenerator(channels=2, image_size=16, latent_dim=4, code_dim=8, mask_channels=4))
    game.conditioner = CaptionConditions(encoder, bank=5)
    if prepared:
        game.conditioner.prepare(stream, game)
    game.networks["text_encoder"] = encoder
    game.networks["image_encoder"] = SmallImageEncoder(8, 16, 8, 4)
    return game.eval()


def settings(**changes: Any) -> dict[str, Any]:
    metrics = changes.pop("metrics", dict(heard=dict(type=Heard)))
    return dict(real=ToyCaptions(), n_fake=N, batch_size=10, cache_dir=None, metrics=metrics) | changes


def fed(said: dict[str, Any]) -> tuple[list[Sample], list[Sample]]:
    """Real and generated batches that a metric gets."""
    measured = measure_game(text_game(), said, said["real"])
    assert measured.values == {"heard": float(N)} and not measured.failures
    return Heard.made[-1].real, Heard.made[-1].fake


def test_a_set_is_told_once_and_again() -> None:
    told, again = Told(ToyCaptions(), seed=1), Told(ToyCaptions(), seed=1)
    first = [told.shown_by(i) for i in range(12)]
    assert first == [again.shown_by(i) for i in range(12)]
    assert sorted(i for i, _ in first) == list(range(12)) and [i for i, _ in first] != list(range(12))
    second = [told.shown_by(i) for i in range(12, 24)]
    assert [i for i, _ in second] == [i for i, _ in first] and second != first
    assert told.captions(range(12)) != Told(ToyCaptions(), seed=2).captions(range(12))
    short = Told(ToyCaptions(), readable=lambda text: "white" in text)
    assert all("white" in text for text in short.captions(range(12)))
    with pytest.raises(ValueError, match="image 3 cannot be told: none of its 3 captions has a known word"):
        Told(ToyCaptions(), readable=lambda text: False).caption(3)
    with pytest.raises(ValueError, match="array has no captions"):
        Told(ArraySet(ToyCaptions()._images, [0] * 12, ["shape"]))


@pytest.mark.parametrize("of_real", [False, True])
def test_fakes_show_captions_of_another_set(of_real: bool) -> None:
    """They have text, class and group of their captions; metrics of captions compare that set's images."""
    shown = ToyCaptions()
    shown.captions = [[texts[0]] for texts in shown.captions or ()]
    real, fake = fed(settings(captions="real" if of_real else shown, **(dict(real=shown) if of_real else {})))
    told = Told(shown, seed=0)
    expected = [told.shown_by(i) for i in range(N)]
    assert [text for batch in fake for text in batch.condition.text] == [text for _, text in expected]
    labels = torch.cat([batch.condition.labels for batch in fake])
    groups = torch.cat([batch.extras["group"] for batch in fake])
    assert labels.tolist() == [int(shown.labels[i]) for i, _ in expected]
    assert groups.tolist() == [i for i, _ in expected]
    assert [text for batch in real for text in batch.condition.text] == told.captions(range(12))
    assert torch.cat([batch.extras["group"] for batch in real]).tolist() == list(range(12))


def test_without_it_they_show_the_trained_captions() -> None:
    real, fake = fed(settings())
    words = {word for texts in ToyCaptions().captions or () for text in texts for word in text.split()}
    texts = [text for batch in fake for text in batch.condition.text]
    assert len(set(texts)) <= 5 and {word for text in texts for word in text.split()} <= words
    assert len([text for batch in real for text in batch.condition.text]) == 12


@pytest.mark.parametrize("reads", ["texts", "ids of the game", "ids of a vocabulary"])
def test_chance_and_real_images_stand_beside_r_precision(reads: str) -> None:
    words = CaptionStream(ToyCaptions(), max_words=WORDS).tokens.vocabulary
    assert words is not None
    judge = Seer() if reads == "texts" else Reader(words.words)
    arguments: dict[str, Any] = dict(vocabulary=words) if reads == "ids of a vocabulary" else {}
    metric = dict(type=RPrecision, encoder=judge, candidates=3, folds=2, **arguments)
    shown = ToyCaptions()
    shown.captions = [[texts[0]] for texts in shown.captions or ()]
    shown.title = "Short toy captions"
    measured = measure_game(text_game(), settings(captions=shown, metrics=dict(r=metric)), ToyCaptions())
    (line,) = measured.records
    assert line["values"]["real"] == 1.0 and line["values"]["chance"] == 1 / 3
    assert 0 <= line["value"] <= 1 and line["captions"] == "Short toy captions"
    assert measured.values[f"{line['metric']}.real"] == 1.0 and not measured.remarks()


def test_the_judge_comes_from_outside() -> None:
    """uses= is refused before anything is trained; the same weights by another way are said."""
    own = dict(type=RPrecision, uses=dict(encoder="image_encoder", text_encoder="text_encoder"))
    with pytest.raises(ConfigError, match=r"r.uses=.*: RPrecision must not judge by the run's own networks"):
        check_evaluation(settings(metrics=dict(r=own)))
    game = text_game()
    judge = SmallImageEncoder(8, 16, 8, 4)
    metric: dict[str, Any] = dict(
        type=RPrecision, encoder=judge, text_encoder=game.network("text_encoder"), candidates=3, folds=2
    )
    said = settings(metrics=dict(r=metric), captions=ToyCaptions())
    assert check_measurable(game, said, played=True) == []
    judge.load_state_dict(game.network("image_encoder").state_dict())
    (line,) = check_measurable(game, said, played=True)
    assert "its encoder is the game's own 'image_encoder'" in line
    assert "the value flatters it" in measure_game(game, said, ToyCaptions()).remarks()[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(captions=ArraySet(ToyCaptions()._images, [0] * 12, ["a"])), "captions: array has no captions"),
        (
            dict(captions=ToyCaptions(image_size=8)),
            r"evaluation.captions has images of 8 x 8 pixels, .* 16 x 16",
        ),
        (dict(captions="rael"), r"captions='rael': it is a data set, .* did you mean 'real'"),
        (dict(caption=ToyCaptions()), "evaluation has no key 'caption' - did you mean 'captions'"),
    ],
    ids=["none", "size", "word", "key"],
)
def test_faults_are_found_before_training(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_measurable(text_game(prepared=False), settings(**changes))


def test_a_game_that_knows_no_words_is_named() -> None:
    game = text_game()
    game.conditioner = NoConditions()
    with pytest.raises(ConfigError, match=r"evaluation.captions: NoConditions cannot be asked for in words"):
        check_measurable(game, settings(captions=ToyCaptions()))
