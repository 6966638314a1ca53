"""A run played again from its folder: the same numbers, or what differs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from toolbox.cli.main import main
from toolbox.config import ConfigError
from toolbox.pipeline import reproduce, train

MEASURED = dict(
    real=dict(type="EmbeddedFashion", image_size=8, split="test"),
    n_fake=64,
    batch_size=32,
    cache_dir=None,
    metrics=dict(fid=dict(type="FID", extractor=dict(type="PooledPixels"))),
)

LABELS = dict(
    model=dict(
        type="Game",
        networks=dict(classifier=dict(type="SmallConvNet", channels=4)),
        players=dict(classifier=["classifier"]),
        phases=[dict(player="classifier")],
        objectives=dict(labels=dict(type="CrossEntropy")),
    ),
    optim_wrapper=dict(classifier=dict(optimizer=dict(type="SGD", lr=0.1))),
    train_cfg=dict(max_iters=2),
)


def test_a_deterministic_run_gives_the_same_numbers_again(
    config_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An earlier stage and the metrics too."""
    folder = train(
        config_file,
        tmp_path / "run",
        report=False,
        options={
            "deterministic": True,
            "model.networks.generator.bounded": True,
            "stages": ["labels"],
            "before": dict(labels=LABELS),
            "evaluation": {**MEASURED, "cache_dir": str(tmp_path / "cache")},
        },
    )
    capsys.readouterr()
    assert main(["reproduce", str(folder)]) == 0
    output = capsys.readouterr().out
    assert (
        "[labels] " in output
        and "[main] " in output
        and "the same (sha256 " in output
        and output.rstrip().endswith("the same")
    )
    assert "fid[" in output and " = " in output
    assert (tmp_path / "run-again" / "done.json").is_file()


def test_what_differs_is_named_and_the_exit_code_says_so(
    trained: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = trained()
    contents = torch.load(folder / "iter_5.pth", weights_only=True)
    contents["state_dict"]["networks.generator.linear.bias"][0] += 1e-6
    torch.save(contents, folder / "iter_5.pth")
    record = json.loads((folder / "environment.json").read_text())
    record["versions"]["torch"] = "1.0"
    (folder / "environment.json").write_text(json.dumps(record))
    capsys.readouterr()
    assert main(["reproduce", str(folder), "--work-dir", str(tmp_path / "second")]) == 1
    said = capsys.readouterr()
    assert (
        "may differ: torch: 1.0 -> " in said.out
        and "may differ: the run was not made with --deterministic" in said.out
    )
    assert (
        "1 differ: state_dict.networks.generator.linear.bias" in said.out
        and "not the same: 1 of the" in said.err
    )


def test_other_data_are_refused(trained: Callable[..., Path], tmp_path: Path) -> None:
    folder = trained()
    record = json.loads((folder / "environment.json").read_text())
    record["data"]["fingerprint"] = "0" * 64
    (folder / "environment.json").write_text(json.dumps(record))
    with pytest.raises(
        ConfigError, match=r"training data of .* have changed: fingerprint 0{16} -> .*--allow-data"
    ):
        reproduce(folder)
    assert not reproduce(folder, tmp_path / "second", allow_data=True).differing


def test_an_unfinished_run_is_not_reproduced(trained: Callable[..., Path], tmp_path: Path) -> None:
    folder = trained()
    (folder / "done.json").unlink()
    with pytest.raises(ConfigError, match=r"holds no finished run .*--resume first"):
        reproduce(folder)
    with pytest.raises(ConfigError, match=r"has no config\.json: is it a run's folder"):
        reproduce(tmp_path / "nothing")


def test_a_run_of_another_length_than_its_config_says_is_not_reproduced(trained: Callable[..., Path]) -> None:
    """Resumed for less, a run keeps its 5 iterations; resumed for more and interrupted, it is not
    finished.
    """
    folder = trained()
    trained(resume=True, options={"train_cfg.max_iters": 4})
    with pytest.raises(
        ConfigError, match=r"asks for 4 iterations, .* finished after 5, .* iter_5\.pth: .*max_iters=5 first"
    ):
        reproduce(folder)
    trained(resume=True, options={"train_cfg.max_iters": 5})
    config = folder / "config.json"
    config.write_text(
        config.read_text().replace('"max_iters": 5', '"max_iters": 9')
    )  # as begun, and killed before a checkpoint
    with pytest.raises(
        ConfigError, match=r"asks for 9 iterations, .* finished after 5, .* iter_5\.pth: .*max_iters=9 first"
    ):
        reproduce(folder)
