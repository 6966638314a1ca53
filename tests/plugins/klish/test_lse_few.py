"""LSE from a few annotated images: cells that are kept, pairs with its labels, the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.plugins.klish.tiny_lse import PARTS, Brightest, small_generator
from toolbox.cli.main import main
from toolbox.config import ConfigError
from toolbox.data.mask_shards import MaskShards
from toolbox.features import feature_stream
from toolbox.interfaces import Generator
from toolbox_klish.lse.annotations import Annotations
from toolbox_klish.lse.few import FewSettings, fit_shots, measure_few
from toolbox_klish.lse.files import load_official
from toolbox_klish.lse.fitting import Keep, fit_full
from toolbox_klish.lse.pairs import make_extractor_pairs
from toolbox_klish.pairs.settings import PairSettings
from toolbox_klish.separability.sources import generator_of

SETTINGS = FewSettings(shown=6, full=8, test_images=3)


@pytest.fixture(scope="module")
def generator() -> Generator:
    return small_generator()


class KilledError(Exception):
    """What ends a fit in a test."""


def test_a_killed_fit_goes_on_bit_for_bit(generator: Generator, tmp_path: Path) -> None:
    def killed(what: str, done: int, total: int) -> None:
        if done == 4:
            raise KilledError

    settings = FewSettings(shown=12, full=24, test_images=1)
    for shot in (2, "all"):
        file = tmp_path / f"{shot}.pth"
        whole = fit_shots(generator, Brightest(), shot, 1, settings)
        with pytest.raises(KilledError):
            fit_shots(generator, Brightest(), shot, 1, settings, keep=Keep(file, 2, killed))
        again = fit_shots(generator, Brightest(), shot, 1, settings, keep=Keep(file, 2))
        one, two = whole.state_dict(), again.state_dict()
        assert all(torch.equal(one[key], two[key]) for key in one), shot


def test_draws_are_others_and_are_kept(generator: Generator, tmp_path: Path) -> None:
    wanted = (tmp_path, generator, Brightest(), [1, "all"], [0, 1], SETTINGS)
    text = measure_few(*wanted, pairs=4)
    assert "| 1 | " in text and "47.1 ± 2.8" in text and "| all | " in text
    found = json.loads((tmp_path / "few.json").read_text())
    assert len(found["found"]["1"]) == 2 and found["draws"] == [0, 1]
    few = [Annotations.load(tmp_path / f"shots_1/draw_{seed}/annotations.npz") for seed in (0, 1)]
    assert not np.array_equal(few[0].latents, few[1].latents) and len(few[0]) == 1
    assert not list(tmp_path.rglob("state.pth"))
    assert len(MaskShards(tmp_path / "shots_all/draw_1/pairs", image_size=16)) > 0
    assert measure_few(*wanted, pairs=4) == text
    with pytest.raises(ConfigError, match="was made with test_images=3, now it is 4"):
        measure_few(*wanted[:-1], FewSettings(shown=6, full=8, test_images=4))


def test_pairs_hold_what_the_extractor_sees(generator: Generator, tmp_path: Path) -> None:
    lse = fit_full(generator, Brightest(), steps=4, batch_size=2, lr=0.05)
    settings = PairSettings(images=5, size=16, truncation=0.7)
    folder = make_extractor_pairs(generator, lse, tmp_path / "pairs", settings)
    record = json.loads((folder / "pairs.json").read_text())
    assert record["part_names"] == PARTS and record["origin"]["clusterer"] == "LSE"
    data = MaskShards(folder, image_size=16)
    stream = feature_stream(
        generator, 5, layers=list(lse.layers), size=16, truncation=0.7, seed=settings.seed, noise="const"
    )
    stored = [data.mask(i) for i in range(len(data))]
    made = [lse(stream.maps(i), 16).argmax(dim=1)[0].numpy() for i in range(5)]
    assert all(any((mask == other).mean() > 0.99 for other in made) for mask in stored)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--shown", "2", "--full", "4", "--test-images", "1", "--fits", "0", "--device", "cpu"]
    command = ["klish", "lse", "EmbeddedStyleGAN2", "--out", str(tmp_path / "out"), *few]
    assert main([*command, "--shots", "1"]) == 0
    assert "LSE from few annotations" in capsys.readouterr().out
    _, generator = generator_of("EmbeddedStyleGAN2", "cpu")
    assert load_official(tmp_path / "out/shots_1/draw_0/lse.pth", generator).part_names[0] == "background"
    assert main([*command, "--shots", "none"]) == 1
    assert "--shots none: a number of images of 1 or more, or 'all'" in capsys.readouterr().err
