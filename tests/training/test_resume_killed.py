"""Runs killed at any moment end as if nothing had happened: weights, averages, optimisers, banks, logs,
metrics, grids.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import killing
import pytest
import tiny_texts

from tests.plugins.ipl import tiny_ipl
from toolbox.config import load_config

PLUGINS = killing.first_configs()
TITLES = {**PLUGINS, "core": "toolbox/biggan_cifar", "damsm": "toolbox/damsm_emoji"}


class Workshop:
    """The process that forks, and the small data set."""

    def __init__(self, server: killing.ForkServer, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.data = killing.write_small_set(folder / "data")

    def command(self, config: str) -> list[str]:
        if config.endswith(".py"):  # small as it is
            return [config, "--deterministic", "--seed", "3"]
        return killing.small_command(config, self.data, self.folder / "statistics")

    def uninterrupted(self, config: str) -> Callable[[], Path]:
        """Start a run in a Python of its own; call what is returned to wait for its folder."""
        folder = self.folder / "uninterrupted"
        process = subprocess.Popen(
            [sys.executable, str(killing.SCRIPT), *self.command(config), "--work-dir", str(folder)],
            cwd=killing.ROOT,
            env=killing.ENVIRONMENT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

        def wait() -> Path:
            output = process.communicate()[0]
            assert process.returncode == 0, output
            return folder

        return wait

    def victim(self, config: str, name: str) -> killing.Victim:
        return killing.Victim(self.server, self.command(config), self.folder / name)


@pytest.fixture
def workshop(fork_server: killing.ForkServer, tmp_path: Path) -> Workshop:
    return Workshop(fork_server, tmp_path)


def test_every_plugin_is_tried() -> None:
    assert {"lcp", "scl"} <= set(PLUGINS)


def test_a_text_to_image_run_killed_in_each_stage(workshop: Workshop, tmp_path: Path) -> None:
    """DAMSM with SCL, then a generator with SCL: between checkpoints of each, and in the last evaluation."""
    config = str(tiny_texts.write_config(tmp_path))
    whole, victim = workshop.victim(config, "whole"), workshop.victim(config, "killed")
    whole.finish()
    for file in ("stages/damsm/iter_2.pth", "iter_2.pth", "done.json"):
        victim.run_until(killing.once_there(file))
    victim.finish()
    assert victim.kills == 3 and not whole.kills
    killing.assert_same_folder(whole.folder, victim.folder)


@pytest.mark.slow
def test_an_ipl_run_killed_in_each_stage(workshop: Workshop, tmp_path: Path) -> None:
    """The mapper, then the generator: behind a checkpoint of each, and at the end."""
    config = str(tiny_ipl.write_config(tmp_path))
    whole, victim = workshop.victim(config, "whole"), workshop.victim(config, "killed")
    whole.finish()
    for file, later in (("stages/prompts/iter_2.pth", "iter_2.pth"), ("iter_2.pth", "done.json")):
        victim.run_until(killing.once_there(file))
        assert not (victim.folder / later).exists()
    victim.run_until(killing.once_there("done.json"))
    victim.finish()
    assert victim.kills == 3 and not whole.kills
    killing.assert_same_folder(whole.folder, victim.folder)


@pytest.mark.slow
def test_a_diff_ipl_run_killed_while_it_inverts_and_in_each_stage(workshop: Workshop, tmp_path: Path) -> None:
    """What was inverted is kept; each run has a cache of its own."""
    runs = []
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
        runs.append(workshop.victim(str(tiny_ipl.write_diffusion_config(tmp_path / name)), f"{name}-run"))
    whole, victim = runs
    whole.finish()
    cache = tmp_path / "killed" / "cache"
    victim.run_until(lambda folder, passed: any(cache.glob("*.parts/*.npy")))
    assert any(cache.glob("*.parts/*.npy")) and not any(cache.glob("*.npy"))
    for file in ("stages/prompts/iter_2.pth", "iter_2.pth"):
        victim.run_until(killing.once_there(file))
    victim.finish()
    assert victim.kills == 3 and not whole.kills
    killing.assert_same_folder(whole.folder, victim.folder)
    for one, other in zip(
        sorted((tmp_path / "whole" / "cache").iterdir()), sorted(cache.iterdir()), strict=True
    ):
        assert one.name == other.name and one.read_bytes() == other.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("plugin", PLUGINS)
def test_three_kills_leave_no_trace(workshop: Workshop, plugin: str) -> None:
    """Of each plugin's first quick config: while a checkpoint is written, anywhere, and in the last
    evaluation.
    """
    config, seed = PLUGINS[plugin], random.SystemRandom().randrange(10**6)
    rng = random.Random(seed)
    uninterrupted = workshop.uninterrupted(config)
    victim = workshop.victim(config, f"killed-{seed}")
    victim.run_until(killing.while_writing(f".iter_{rng.choice((2, 4, 6))}.pth.*.tmp"))
    victim.run_until(killing.after(rng.uniform(0, 6)))
    victim.run_until(killing.once_there("done.json", rng.uniform(0, 1)))
    while victim.kills < 3:  # a fast machine was done before
        victim.run_until(killing.after(rng.uniform(0, 1)))
    victim.finish()
    killing.assert_same_folder(uninterrupted(), victim.folder)


@pytest.mark.slow
@pytest.mark.parametrize("plugin", TITLES)
def test_twenty_kills_leave_no_trace(
    workshop: Workshop, plugin: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each run is killed up to three times, at moments of every kind in turn."""
    config, seed = TITLES[plugin], random.SystemRandom().randrange(10**6)
    rng = random.Random(seed)
    whole = workshop.uninterrupted(config)()
    stages = load_config(config, quick=True).get("stages", ())
    moments, kills, runs = killing.moments(6, rng, stages), 0, 0
    while kills < 20:
        victim = workshop.victim(config, f"killed-{seed}-{runs}")
        found = [name for name, moment in (next(moments) for _ in range(3)) if victim.run_until(moment)]
        victim.finish()
        kills, runs = kills + victim.kills, runs + 1
        with capsys.disabled():
            print(f"\n{plugin} (seed {seed}): killed {', '.join(found)}")  # noqa: T201
        killing.assert_same_folder(whole, victim.folder)
        assert runs < 20, f"only {kills} kills in {runs} runs"
