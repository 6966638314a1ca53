"""Configs out of presets: the published numbers, as a table and as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toolbox.cli.main import main
from toolbox.cli.preset_config import preset_config, preset_text
from toolbox.config import load_config
from toolbox.data.pictures import encode_png
from toolbox.models.stylegan2_presets import NAMES
from toolbox.training.explain.iteration import explain

CONFIGS = Path(__file__).parents[2] / "configs"

#: name: (pixels, GPUs, iterations, batch, lr, gamma, half-life, ramp, path length, ADA), from the code that
#: published them.
PUBLISHED = {
    "auto": (256, 1, 1562500, 16, 0.0025, 0.8192, 5, 0.05, True, True),
    "auto at 1024": (1024, 8, 781250, 32, 0.002, 6.5536, 10, 0.05, True, True),
    "auto at 32": (32, 1, 781250, 32, 0.0025, 0.0064, 10, 0.05, True, True),
    "stylegan2": (1024, 8, 781250, 32, 0.002, 10, 10, None, True, True),
    "paper256": (256, 8, 390625, 64, 0.0025, 1, 20, None, True, True),
    "paper512": (512, 8, 390625, 64, 0.0025, 0.5, 20, None, True, True),
    "paper1024": (1024, 8, 781250, 32, 0.002, 2, 10, None, True, True),
    "cifar": (32, 2, 1562500, 64, 0.0025, 0.01, 500, 0.05, False, True),
    "config-e": (1024, 8, 781250, 32, 0.002, 100, 10, None, True, False),
    "config-f": (1024, 8, 781250, 32, 0.002, 10, 10, None, True, False),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_numbers(name: str) -> None:
    size, processes, iterations, batch, lr, gamma, half_life, ramp, path_length, ada = PUBLISHED[name]
    config = preset_config(name.split()[0], size, processes)
    model, optimisers = config["model"], config["optim_wrapper"]
    assert (config["train_cfg"]["max_iters"], config["train_dataloader"]["batch_size"]) == (iterations, batch)
    assert model["objectives"]["r1"]["gamma"] == gamma
    assert model["average"]["generator"] == dict(half_life_kimg=half_life, rampup=ramp)
    assert ("path_length" not in model["objectives"], "augment" not in model) == (path_length, ada)
    for player, every in (("discriminator", 16), ("generator", 4)):
        optimiser = optimisers[player]["optimizer"]
        assert optimiser["lr"] == pytest.approx(lr * every / (every + 1))
        assert optimiser["betas"] == (0.0, pytest.approx(0.99 ** (every / (every + 1))))


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_every_preset_is_a_config(name: str, conditional: bool, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    for number in range(2):
        images = tmp_path / "images" / f"class_{number}"
        images.mkdir(parents=True)
        (images / "0.png").write_bytes(encode_png(np.zeros((4, 4, 3), np.uint8)))
    data = str(tmp_path / "images")
    file.write_text(preset_text(name, 64, 1, conditional, base="toolbox/stylegan2_ada_auto", data=data))
    config = load_config(file)
    assert config.train_dataloader.dataset.source.root == data
    text = explain(config)
    assert ("path_length" in text) == (name != "cifar") and "r1" in text
    assert config.model.networks.generator.get("n_conditions") == ("data:n_classes" if conditional else None)
    assert (config.model.get("augment") is None) == name.startswith("config")


@pytest.mark.parametrize(
    ("file", "arguments"),
    [
        ("stylegan2_ada_auto", ("auto", 256)),
        ("stylegan2_ada_auto_classes", ("auto", 256, 1, True)),
        ("stylegan2_paper256", ("paper256", 256)),
        ("stylegan2_config_f", ("config-f", 1024)),
    ],
)
def test_shipped_configs_are_what_the_command_writes(file: str, arguments: tuple[Any, ...]) -> None:
    assert (CONFIGS / f"{file}.py").read_text() == preset_text(*arguments)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "mine.py"
    words = ["--image-size", "512", "--processes", "4", "--data", "cats", "--conditional", "-o", str(out)]
    assert main(["preset", "auto", *words]) == 0
    assert f"toolbox train {out} --quick" in capsys.readouterr().out
    config = load_config(out)
    assert config.train_dataloader.batch_size == 32 and config.model.objectives.r1.gamma == 1.6384
    for words, message in [
        (["auto", "-o", str(out)], "the file is there already; --force"),
        (["auto", "-o", "mine.txt"], "ends in .py"),
        (["pape256", "-o", str(out), "--force"], "did you mean 'paper256'"),
        (["auto", "--processes", "0", "-o", str(out), "--force"], "processes=0 must be at least 1"),
        (["auto", "--image-size", "100", "-o", str(out), "--force"], "image_size=100 must be a power of two"),
    ]:
        assert main(["preset", *words]) == 1
        assert message in capsys.readouterr().err
