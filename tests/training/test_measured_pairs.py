"""Evaluations of a game without images: pairs through a source, truncation, and nothing to compare with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pairs import run_pair
from toy_adaptation import Distance, FeatureDistance, write_config

from toolbox import load_config
from toolbox.cli.main import main
from toolbox.config import ConfigError
from toolbox.loading import load_game
from toolbox.metrics.base import with_features
from toolbox.metrics.evaluate import evaluate
from toolbox.pipeline import evaluate_run, train
from toolbox.registry import build
from toolbox.testing import check_metric
from toolbox.testing.common import random_sample
from toolbox.training.evaluation.samplers import at_truncation
from toolbox.training.explain.summary import summary
from toolbox.training.game.sampler import Sampler

PIXELS = dict(type="PooledPixels", size=2)
PAIRS = dict(
    metrics=dict(distance=dict(type="Distance"), features=dict(type="FeatureDistance")),
    extractor=PIXELS,
    n_fake=10,
    batch_size=4,
)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("config") / "adapt.py")


@pytest.fixture(scope="module")
def run(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "measured"
    options = {
        "evaluation": PAIRS,
        "hooks.evaluation": dict(type="Evaluation", interval=2, metrics=["distance"]),
        "hooks.samples.truncation": 0.5,
        "hooks.checkpoints": dict(type="Checkpoints", interval=3, best="distance"),
    }
    return train(config, work_dir=folder, options=options)


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def by_hand(folder: Path, truncation: float = 1.0) -> float:
    """Of ten images, one at a time."""
    game = load_game(folder)
    fakes = Sampler(game, seed=sampler_seed(), truncation=truncation)
    sources = Sampler(game, truncation=truncation, generator="source")
    distances = []
    for i in range(10):
        fake = fakes(torch.tensor([i]))
        distances.append((fake.images - sources.again(fake).images).abs().mean())
    return float(torch.stack(distances).mean())


def sampler_seed() -> int:
    from toolbox.randomness import mix

    return mix(0, "evaluation")


def test_pairs_are_measured_while_training_and_after(run: Path) -> None:
    found = records(run)
    assert [r["metric"] for r in found if r.get("during")] == ["distance", "distance"]
    last = {r["metric"]: r for r in found if not r.get("during")}
    assert last["distance"]["value"] == pytest.approx(by_hand(run), rel=1e-5)
    assert last["distance"]["values"]["n"] == 10 and last["distance"]["data"] == {}
    assert last["distance"]["source"] == "source" and last["feature-distance[pixels]"]["value"] > 0
    report = (run / "report.html").read_text().split("The resolved config")[0]
    assert "distance" in report and "eal images" not in report


def test_a_number_of_truncated_images_has_a_name_of_its_own(run: Path) -> None:
    found = evaluate_run(run, device="cpu", truncation=0.5)
    assert set(found) == {
        "distance[truncation=0.5]",
        "distance[truncation=0.5].n",
        "feature-distance[pixels,truncation=0.5]",
        "feature-distance[pixels,truncation=0.5].n",
    }
    assert found["distance[truncation=0.5]"] == pytest.approx(by_hand(run, 0.5), rel=1e-5)
    last = records(run)[-1]
    assert last["truncation"] == 0.5 and last["metric"] == "feature-distance[pixels,truncation=0.5]"


def test_the_command_line_measures_truncated_images(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", str(run), "--truncation", "0.25", "--device", "cpu"]) == 0
    assert "distance[truncation=0.25]" in capsys.readouterr().out


def test_images_that_nothing_was_learnt_from_are_compared_with(run: Path, tmp_path: Path) -> None:
    """A target set that is known, in a game without images."""
    target = dict(type="EmbeddedFashion", split="test", image_size=8)
    fid = dict(fid=dict(type="FID"))
    found = evaluate_run(run, device="cpu", real=target, metrics=fid, cache_dir=str(tmp_path))
    assert len(found) == 1 and next(iter(found)).startswith("fid[")
    assert records(run)[-1]["data"]["title"] == "Fashion-MNIST (embedded)"


def test_names_at_a_truncation() -> None:
    assert at_truncation("fid[clip,2k]", 0.7) == "fid[clip,2k,truncation=0.7]"
    assert at_truncation("kid[clip,2k].std", 0.7) == "kid[clip,2k,truncation=0.7].std"
    assert at_truncation("own.part", 0.7) == "own[truncation=0.7].part"


def measured_by(folder: str) -> dict[str, float]:
    return evaluate_run(folder, device="cpu")


def test_two_processes_measure_the_same(run: Path) -> None:
    alone = evaluate_run(run, device="cpu")
    assert all(both == pytest.approx(alone, rel=1e-6) for both in run_pair(measured_by, str(run)))


def test_pairs_need_a_source(run: Path) -> None:
    with pytest.raises(ValueError, match="distance needs pairs: no source makes the other image"):
        evaluate(Sampler(load_game(run)), None, [Distance()], 4)


def test_metrics_of_pairs_pass_their_check() -> None:
    pixels = build(PIXELS)
    for metric in (Distance(), FeatureDistance(pixels)):
        latents = torch.zeros(48, 4)
        fake, source = (
            with_features(random_sample(48, seed=seed), [pixels]).replace(
                latents=latents, index=torch.arange(48)
            )
            for seed in (1, 2)
        )
        check_metric(metric, fake=fake, source=source)


# -- what is refused before anything is trained --------------------------------------------------------------

Options = dict[str, Any]


@pytest.mark.parametrize(
    ("evaluation", "message"),
    [
        (dict(metrics=dict(fid=dict(type="FID"))), "nothing of evaluation.real, and fid would compare"),
        (dict(source="sauce"), r"no network 'sauce'.*did you mean 'source'.*set evaluation.source"),
        (dict(truncation=1.5), r"evaluation.truncation=1.5 must lie in \(0, 1\]"),
        (dict(captions="real"), "evaluation.captions='real': the config says nothing"),
        (dict(source=3), "evaluation.source=3 must be"),
    ],
)
def test_what_cannot_be_measured_is_refused(config: Path, evaluation: Options, message: str) -> None:
    options = {"evaluation": {**PAIRS, **evaluation}}
    with pytest.raises(ConfigError, match=message):
        summary(load_config(config, options=options), memory=False)


def test_a_source_of_another_size(config: Path) -> None:
    large = dict(type="StyleGAN2Generator", image_size=16, latent_dim=4, style_dim=6, channel_base=64)
    options = {"evaluation": {**PAIRS, "source": "large"}, "model.networks.large": large}
    with pytest.raises(ConfigError, match="makes images of 16 pixels"):
        summary(load_config(config, options=options), memory=False)


def test_an_evaluation_without_real_images_is_summed_up(config: Path) -> None:
    evaluation = {**PAIRS, "truncation": 0.5}
    text = summary(load_config(config, options={"evaluation": evaluation}), memory=False)
    named = "evaluation: distance (Distance), features (FeatureDistance)"
    assert f"{named}; 10 generated images at truncation 0.5\n" in text


def test_what_has_no_truncation_is_refused(config: Path) -> None:
    pggan = dict(
        type="PGGANGenerator", image_size=8, latent_dim=4, channel_base=32, channel_max=8, _delete_=True
    )
    options = {
        "model.networks.generator": pggan,
        "model.networks.source": pggan,
        "hooks.samples.truncation": 0.5,
    }
    with pytest.raises(ConfigError, match=r"SampleGrid: truncation=0\.5: PGGANGenerator has none"):
        summary(load_config(config, options=options), memory=False)
