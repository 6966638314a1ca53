"""``sample --prompts`` of a network that makes prompts from latents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from toy_adaptation import write_config

from toolbox.cli.main import main
from toolbox.loading import load_game
from toolbox.pipeline import train
from toolbox.training.game.sampler import Sampler

NETWORKS: dict[str, Any] = {
    "model.networks.clip": dict(type="ToyText"),
    "model.networks.other": dict(type="ToyText"),
    "model.networks.mapper": dict(type="ToyPrompts", uses=dict(clip="clip")),
}


def run_of(folder: Path, **options: Any) -> Path:
    config = write_config(folder / "adapt.py")
    options = {**NETWORKS, "train_cfg.max_iters": 1, **options}
    return train(config, work_dir=folder / "run", options=options, report=False)


def test_a_line_an_image_with_the_words_of_its_prompt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(tmp_path)
    capsys.readouterr()
    assert main(["sample", str(run), "--prompts", "--columns", "3", "--seed", "2", "--device", "cpu"]) == 0
    game = load_game(run)
    latents = Sampler(game, seed=2).latents(torch.arange(3))
    source, mapper, clip = (game.network(name) for name in ("source", "mapper", "clip"))
    words = mapper.nearest_words(clip, which=source.style_latent(latents))
    expected = [
        f"mapper  image {i}: {slots[0][0][0]} ({slots[0][0][1]:.2f})" for i, slots in enumerate(words)
    ]
    assert capsys.readouterr().out.strip().splitlines() == expected
