"""What a person sees of a run at work."""

from __future__ import annotations

import io
import time
import warnings
from types import SimpleNamespace
from typing import Any

import pytest

from toolbox.runs.terminal import plain_warnings, progress_bar, say, tracked
from toolbox.training.hooks.progress import ProgressBar, as_many_as_fit, in_short

LOSSES = {
    "prompts/prompt_discriminator": 0.04,
    "real_or_fake/discriminator": 0.81,
    "prompts/generator": 12.59,
    "real_or_fake/generator": 2.2,
    "pseudo/confident": 0.25,
}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def runner(max_iters: int = 100000) -> Any:
    networks = dict.fromkeys(["generator", "discriminator", "prompt_discriminator"])
    device = SimpleNamespace(type="cpu")
    game = SimpleNamespace(networks=networks, device=device)
    return SimpleNamespace(iter=0, max_iters=max_iters, work_dir="runs/lcp_cifar-quick", model=game)


def test_losses_have_short_names() -> None:
    networks = ["generator", "discriminator", "prompt_discriminator"]
    assert in_short(LOSSES, networks) == ["PD 0.04", "D 0.81", "G 12.59+2.20", "confident 0.25"]


def test_what_does_not_fit_is_left_out() -> None:
    assert as_many_as_fit(["PD 0.04", "D 0.81", "G 2.59"], 16) == "PD 0.04, D 0.81"
    assert as_many_as_fit(["PD 0.04", "D 0.81"], 3) == "PD 0.04"
    assert as_many_as_fit([], 80) == ""


def test_the_bar_is_alive_at_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setattr("tqdm.std._screen_shape_wrapper", lambda: lambda stream: (80, 24))
    bar = ProgressBar()
    run = runner(900)
    bar.before_train(run)
    bar._bar.mininterval = 0.0
    for iteration in range(40):
        bar.after_train_iter(run, iteration, outputs=LOSSES)
    bar._bar.refresh()
    bar.close()
    last = screen.getvalue().split("\r")[-1]
    assert len(last.rstrip()) <= 80 and last.startswith("lcp_cifar-quick:   4%|")
    assert "40/900" in last and "PD 0.04" in last
    assert len(last.split("|")[1]) >= 8


def test_hours_are_told_of_long_runs_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr("toolbox.training.hooks.progress.time.monotonic", lambda: next(clock))
    for max_iters, told in ((100000, 1), (900, 0)):
        bar = ProgressBar()
        bar.before_train(runner(max_iters))
        said: list[str] = []
        monkeypatch.setattr(bar._bar, "write", said.append)
        for iteration in range(30):
            bar.after_train_iter(runner(max_iters), iteration)
        bar.close()
        assert len(said) == told


def test_without_a_terminal_each_state_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar(3, "a very long name of a run indeed", lines=0.0) as bar:
        for _ in range(3):
            bar.update()
    say("next")
    captured = capsys.readouterr()
    assert "\r" not in captured.err and captured.err.endswith("\n")
    assert all(line.startswith("a very long name of…") for line in captured.err.splitlines())
    assert captured.out == "next\n"


def test_short_work_shows_no_bar_and_long_work_does(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list(tracked("abc", 3, "letters")) == ["a", "b", "c"]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("toolbox.runs.terminal._SILENCE", 0.01)
    for _ in tracked("abc", 3, "letters"):
        time.sleep(0.02)
    assert "letters" in capsys.readouterr().err


def test_warnings_of_a_command_are_lines_for_people() -> None:
    with plain_warnings():
        assert warnings.formatwarning("few images", UserWarning, "a.py", 3) == "warning: few images\n"
    assert warnings.formatwarning("few", UserWarning, "a.py", 3).startswith("a.py:3: UserWarning")
