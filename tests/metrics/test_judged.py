"""The shipped judge of portraits is as its card says, and metrics count its answers."""

from __future__ import annotations

import hashlib

import pytest
import torch

from toolbox.data.base import to_tensor
from toolbox.data.drawn import DrawnPortraits
from toolbox.data.drawn_styles import DRAWN_STYLES
from toolbox.interfaces import Sample
from toolbox.models.judge_embedded import WEIGHTS, PortraitJudge
from toolbox.registry import BuildError, build
from toolbox.testing import check_extractor, check_metric

JUDGE = dict(type="PortraitJudge")


@pytest.fixture(scope="module")
def judge() -> PortraitJudge:
    return build(JUDGE, "extractor")


def portraits(style: str, n: int) -> Sample:
    data = DrawnPortraits("test", images=n, style=style)
    return Sample(torch.stack([to_tensor(data.image(i)) for i in range(n)]), index=torch.arange(n))


def test_it_is_an_extractor_as_its_card_says_and_small(judge: PortraitJudge) -> None:
    assert judge.card["sha256"] == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert WEIGHTS.stat().st_size < 500_000
    assert judge.card["metrics"]["style"] > 0.97 and judge.card["metrics"]["hair"] > 0.9
    assert judge.questions["style"] == list(DRAWN_STYLES)
    check_extractor(judge)


def test_it_is_right_about_portraits_it_was_not_trained_on(judge: PortraitJudge) -> None:
    """In the style of each and, over all styles, the hair."""
    data = DrawnPortraits("test", images=70, style=DRAWN_STYLES)
    seen = judge(torch.stack([to_tensor(data.image(i)) for i in range(70)]))
    style, hair = (judge.answers(seen, question).argmax(dim=1) for question in ("style", "hair"))
    assert (style == torch.arange(70) % 7).float().mean() > 0.95
    assert (hair == torch.from_numpy(data.labels)).float().mean() > 0.85
    for question, answers in judge.questions.items():
        each = judge.answers(seen, question)
        assert each.shape == (70, len(answers))
        torch.testing.assert_close(each.sum(dim=1), torch.ones(70))


def test_the_share_is_of_images_in_the_style() -> None:
    """Three of five are; the name says which style, which judge and how many."""
    share = build(dict(type="JudgedShare", extractor=JUDGE, answer="pixel art"), "metric")
    share.update_fake(portraits("pixel art", 3))
    share.update_fake(portraits("neon", 2).replace(index=torch.tensor([3, 4])))
    assert share.name == "judged-pixel-art[toy-portrait-judge,5]"
    assert share.compute() == {"": pytest.approx(0.6)}


def test_what_is_kept_is_counted_in_pairs() -> None:
    """All of it between a portrait and itself in another style; less between different portraits."""
    made = [build(dict(type="AnswersKept", extractor=JUDGE, question="hair"), "metric") for _ in range(2)]
    source, other = portraits("as drawn", 20), portraits("comic", 20)
    made[0].update_pairs(source, other)
    made[1].update_pairs(source, other.replace(images=other.images.flip(0)))
    assert made[0].name == "kept-hair[toy-portrait-judge,20]"
    assert made[0].compute()[""] > 0.85 > 0.7 > made[1].compute()[""]


@pytest.mark.parametrize(
    "config", [dict(type="JudgedShare", answer="comic"), dict(type="AnswersKept", question="hair")]
)
def test_they_are_metrics(config: dict[str, str]) -> None:
    check_metric(build(dict(**config, extractor=JUDGE), "metric"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (dict(extractor=JUDGE, answer="neo"), "answer='neo' is none of 'style', as drawn, .*neon"),
        (dict(extractor=JUDGE, answer="hat", question="hairs"), "question='hairs' is not one of style, hair"),
        (
            dict(extractor=dict(type="PooledPixels"), answer="neon"),
            "PooledPixels, which answers no questions",
        ),
    ],
)
def test_wrong_questions(wrong: dict[str, object], said: str) -> None:
    with pytest.raises((ValueError, BuildError), match=said):
        build(dict(type="JudgedShare", **wrong), "metric")
