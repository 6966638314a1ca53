"""What would stop a run, or spoil it, is found before its first iteration, and the run is left as it was."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine import Config

from toolbox.cli.main import main
from toolbox.config import ConfigError, load_config
from toolbox.pipeline import train
from toolbox.registry import BuildError
from toolbox.training.checkpoints import CheckpointError, latest_checkpoint, read_checkpoint
from toolbox.training.game.conditioners import ClassConditions
from toolbox.training.game.phases import PlanError
from toolbox.training.run.prepare import prepare
from toolbox.training.run.rehearse import rehearse
from toolbox.training.run.trial import Trial, few

CONFIGS = Path(__file__).parents[2] / "configs"
TEST_SET = dict(type="EmbeddedFashion", split="test", image_size=8)
MEASURED = dict(
    real=TEST_SET,
    n_fake=40,
    extractor=dict(type="PooledPixels"),
    metrics=dict(fid=dict(type="FID")),
    cache_dir=None,
)
BOUNDED = {"model.networks.generator.bounded": True, "evaluation": MEASURED}
CLASSIFIER = dict(type="SmallConvNet", n_classes=10)
HALF = {"train_dataloader.dataset.split": dict(labelled_fraction=0.5, seed=0)}
STAGE = dict(
    model=dict(
        type="Game",
        networks=dict(classifier=dict(type="SmallConvNet", n_classes="data:n_classes")),
        players=dict(classifier=["classifier"]),
        phases=[dict(player="classifier")],
        objectives=dict(labels=dict(type="CrossEntropy")),
    ),
    optim_wrapper=dict(classifier=dict(optimizer=dict(type="SGD", lr=0.1))),
    train_cfg=dict(max_iters=1),
)
LABELLED_BY_A_STAGE = {
    **HALF,
    "stages": ["labels"],
    "before": dict(labels=STAGE),
    "model.networks.classifier": dict(CLASSIFIER, weights=dict(stage="labels", network="classifier")),
    "model.conditioner.classifier": "classifier",
}


def changed(file: Path, options: dict[str, Any]) -> Config:
    """The tiny config with some changes; a dotted key may reach into what another one adds."""
    whole: dict[str, Any] = {}
    for key, value in copy.deepcopy(options).items():
        place = next((other for other in whole if key.startswith(f"{other}.")), None)
        if place is None:
            whole[key] = value
        else:
            *way, last = key.removeprefix(f"{place}.").split(".")
            reduce(lambda inside, part: inside[part], way, whole[place])[last] = value
    return load_config(file, options=whole)


def looked_at(file: Path, options: dict[str, Any]) -> list[str]:
    """What a rehearsal says of the tiny config with some changes."""
    return [line for one in rehearse(prepare(changed(file, options))) for line in one.lines]


FAULTS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "classifier misspelt": (
        {**LABELLED_BY_A_STAGE, "model.conditioner.classifier": "clasifier"},
        PlanError,
        r"model.conditioner.classifier='clasifier': the game has no such network - did you mean 'classifier'",
    ),
    "classes unlike the stage's": (
        {**LABELLED_BY_A_STAGE, "model.networks.classifier.n_classes": 12},
        ConfigError,
        r"tells 12 classes apart, the data has 10",
    ),
    "width unlike the stage's": (
        {**LABELLED_BY_A_STAGE, "model.networks.classifier.channels": 5},
        CheckpointError,
        r"weights of network 'classifier' \(stage 'labels'\)",
    ),
    "fault in a stage": (
        {**LABELLED_BY_A_STAGE, "before.labels.model.objectives.labels.classifier": "clasifier"},
        PlanError,
        r"before.labels: ",
    ),
    "unconditional generator": (
        {"model.networks.generator.n_conditions": 0},
        ConfigError,
        r"model.networks.generator makes the same images of every class, .* asks for 10 classes",
    ),
    "more classes than the data": (
        {"model.networks.generator.n_conditions": 12},
        ConfigError,
        r"generator has n_conditions=12, the conditioner draws from 10",
    ),
    "fewer classes than the data": (
        {"model.networks.generator.n_conditions": 9},
        ConfigError,
        r"generator has n_conditions=9, the conditioner draws from 10",
    ),
    "a network in two players": (
        {"model.players.generator": ["generator", "discriminator"]},
        PlanError,
        r"'discriminator' and 'generator' both move 'discriminator'",
    ),
    "a network that nothing trains": (
        {
            "model.networks.prompts": dict(type="ToyDiscriminator", image_size=8),
            "model.players.discriminator": ["discriminator", "prompts"],
        },
        PlanError,
        r"model.players.discriminator moves 'prompts', but no loss reaches it",
    ),
    "data of another size": (
        {"train_dataloader.dataset.source.image_size": 16},
        ConfigError,
        r"images of 16 x 16 pixels, model.networks.generator makes 8 x 8",
    ),
    "a discriminator of another size": (
        {"model.networks.discriminator.image_size": 4},
        ConfigError,
        r"the first iteration cannot be played: RuntimeError: mat1 and mat2",
    ),
    "evaluation of another size": (
        {**BOUNDED, "evaluation.real.image_size": 16},
        ConfigError,
        r"evaluation.real has images of 16 x 16 pixels, model.networks.generator makes 8 x 8: set",
    ),
    "evaluation of other classes": (
        {
            **BOUNDED,
            "evaluation.metrics": dict(intra=dict(type="IntraFID")),
            "evaluation.real": dict(
                type="RelabelledSet", source=TEST_SET, groups=dict(feet=["sandal", "sneaker"], other=["coat"])
            ),
        },
        ConfigError,
        r"evaluation.real has other classes than the training data",
    ),
    "a metric without an extractor": (
        {**BOUNDED, "evaluation.extractor": None},
        ConfigError,
        r"evaluation.metrics.fid needs an extractor",
    ),
    "an extractor that a metric does not take": (
        {**BOUNDED, "evaluation.metrics.fid.extractor": dict(type="ToyGenerator")},
        (ConfigError, BuildError),  # type: ignore[dict-item]
        r"evaluation.metrics.fid",
    ),
    "two metrics of one name": (
        {**BOUNDED, "evaluation.metrics.again": dict(type="FID")},
        ConfigError,
        r"'again' and 'fid' are both named 'fid\[",
    ),
    "metrics of labels without classes": (
        {
            **BOUNDED,
            "model.conditioner": None,
            "model.networks.generator.n_conditions": 0,
            "evaluation.metrics": dict(intra=dict(type="IntraFID")),
        },
        ConfigError,
        r"metrics.intra cannot take this game's images: intra-fid needs labels.*dict\(intra=None\)",
    ),
    "measured, and never saved": (
        {**BOUNDED, "hooks.checkpoints": None},
        ConfigError,
        r"hooks.checkpoints=None: no hook saves checkpoints, and evaluation measures a checkpoint",
    ),
    "started from, and never saved": (
        {**LABELLED_BY_A_STAGE, "before.labels.hooks": dict(checkpoints=None)},
        ConfigError,
        r"before.labels: .* no hook saves checkpoints, and the network 'classifier' of stage 'main' starts",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found_before_anything_is_trained(fault: str, config_file: Path) -> None:
    options, kind, words = FAULTS[fault]
    with pytest.raises(kind, match=words):
        looked_at(config_file, options)


def test_what_is_right_is_not_blamed(config_file: Path) -> None:
    lines = looked_at(config_file, {**LABELLED_BY_A_STAGE, **BOUNDED})
    assert all("no discriminator (discriminator) looks at the class" in line for line in lines)


def test_batches_that_grow_need_networks_that_grow() -> None:
    options = {"hooks.growing": None, "train_dataloader.dataset.source.images": 60}
    config = load_config(CONFIGS / "pggan_folder.py", quick=True, options=options)
    with pytest.raises(PlanError, match=r"the batches grow \(GrowingBatches\), and no hook lets the"):
        rehearse(prepare(config))


def test_a_dry_run_and_a_run_say_the_same_and_write_nothing(
    config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = ["--cfg-options", "model.networks.discriminator.image_size=4"]
    for arguments in (["--dry-run"], ["--work-dir", str(tmp_path / "run")]):
        assert main(["train", str(config_file), *arguments, *wrong]) == 1
        assert capsys.readouterr().err.startswith("error: the first iteration cannot be played: RuntimeError")
    assert not (tmp_path / "run" / "environment.json").exists()


def test_a_run_is_the_same_with_and_without_a_rehearsal(
    trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(3)
    first = read_checkpoint(latest_checkpoint(trained("with")))  # type: ignore[arg-type]
    drawn = torch.rand(3)
    monkeypatch.setattr("toolbox.training.run.rehearse.try_iteration", lambda stage, game: Trial(game))
    torch.manual_seed(3)
    second = read_checkpoint(latest_checkpoint(trained("without")))  # type: ignore[arg-type]
    assert torch.equal(drawn, torch.rand(3))
    assert first["state_dict"].keys() == second["state_dict"].keys()
    for name, value in first["state_dict"].items():
        assert torch.equal(value, second["state_dict"][name]), name


def test_a_few_images_keep_hidden_labels_and_masks() -> None:
    options = {"train_dataloader.dataset.split": dict(labelled_per_class=3, unlabelled="all", seed=0)}
    config = load_config(CONFIGS / "biggan_cifar.py", quick=True, options=options)
    data = prepare(config)[-1].loader.dataset
    small = few(data, 2)
    assert len(small.source) == 22 and sorted(small.visible_labels.tolist()) == [-1] * 2 + sorted(
        [*range(10)] * 2
    )
    assert len(small) == 42  # the labelled ones twice, as 'all' says
    portraits = load_config(CONFIGS / "segmenter_portraits.py", quick=True)
    portraits.train_dataloader.dataset.source.images = 30
    assert few(prepare(portraits)[-1].loader.dataset, 2)[0]["mask"].shape == (64, 64)


def test_a_config_without_hooks_ends_with_metrics_and_a_report(config_file: Path, tmp_path: Path) -> None:
    config = changed(config_file, BOUNDED)
    config.pop("hooks")
    folder = train(config, work_dir=tmp_path / "run")
    assert (folder / "iter_5.pth").is_file() and (folder / "report.html").is_file()
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 1


def test_few_images_give_what_can_be_computed(
    config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = dict(
        kid=dict(type="KID", subsets=3), fid=dict(type="FID"), precision=dict(type="PrecisionRecall", k=40)
    )
    options = {**BOUNDED, "evaluation.metrics": metrics}
    folder = train(changed(config_file, options), work_dir=tmp_path / "run")
    said = capsys.readouterr().out
    before, after = said.split("measuring ...")
    assert "evaluation.metrics.kid: subsets of 40 images, not 1000" in before
    assert "evaluation.metrics.precision: cannot be computed" in before
    assert ",40,k40]: not computed: k=40" in after
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    found = {record["metric"].partition("[")[0]: record for record in records}
    assert found["kid"]["metric"].endswith(",40,3x40]") and found["fid"]["value"] is not None
    assert found["precision-recall"]["value"] is None and "k=40" in found["precision-recall"]["error"]
    assert "not computed: k=40" in (folder / "report.html").read_text()


def test_no_evaluation_is_asked_for_none_is_looked_at(config_file: Path, tmp_path: Path) -> None:
    options = {**BOUNDED, "evaluation.real.image_size": 16}
    config = changed(config_file, options)
    folder = train(config, work_dir=tmp_path / "run", evaluate=False, report=False)
    assert (folder / "done.json").is_file()


def test_a_run_that_cannot_be_measured_has_its_report(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the extractor is gone")

    monkeypatch.setattr("toolbox.pipeline.measure", broken)
    with pytest.raises(RuntimeError, match="the extractor is gone"):
        train(changed(config_file, BOUNDED), work_dir=tmp_path / "run")
    assert (tmp_path / "run" / "report.html").is_file() and (tmp_path / "run" / "done.json").is_file()


def test_large_images_are_not_tried_and_a_line_says_so(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolbox.training.run.trial._MOST_PIXELS", 100)
    lines = looked_at(config_file, {"model.networks.discriminator.image_size": 4})
    assert lines == ["no iteration was tried: 2 images of 64 pixels take long on a CPU"]


def test_what_fails_on_very_few_images_is_tried_on_more(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def prepare_on_many(self: ClassConditions, dataset: Any, game: Any) -> None:
        tried.append(len(dataset))
        if len(dataset) < 1000:
            raise ValueError("too few images")

    monkeypatch.setattr(ClassConditions, "prepare", prepare_on_many)
    looked_at(config_file, {})
    assert tried == [240, 2400]
