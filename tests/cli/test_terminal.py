"""What reaches the terminal: names of files, classes and runs may hold what a terminal obeys."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from toolbox.cli.main import main
from toolbox.data.base import ArraySet
from toolbox.runs.terminal import complain, one_line, plain, say, show
from toolbox.training.hooks.progress import ProgressBar

HOSTILE = "cats\x1b[2J\x1b]0;owned\x07\r\x9b31m\u202edogs\ud800"
SHOWN = "cats\\x1b[2J\\x1b]0;owned\\x07\\r\\x9b31m\\u202edogs\\ud800"


def obeyed(text: str) -> list[str]:
    return [sign for sign in text if not (sign.isprintable() or sign in "\n\t")]


def test_what_a_terminal_obeys_is_shown_instead() -> None:
    assert plain(HOSTILE) == SHOWN
    assert plain("a\tb\nc é 漢 👩\u200d🎨") == "a\tb\nc é 漢 👩\u200d🎨"
    assert one_line(" a\n\n  b\x0bc\u2028d\n") == "a b\\x0bc\\u2028d"


def test_all_ways_to_the_terminal_are_cleaned(capsys: pytest.CaptureFixture[str]) -> None:
    for way in (say, show, complain):
        way(f"classes: {HOSTILE}")
    out, err = capsys.readouterr()
    assert out == f"classes: {SHOWN}\n" * 2 and err == f"classes: {SHOWN}\n"


@pytest.mark.parametrize(
    "words",
    [
        ["test", f"{HOSTILE}.py", "x.pth"],
        ["explain", f"{HOSTILE}.py"],
        ["explain", "lcp_cifar", "--plugin", f"{HOSTILE}.py"],
        ["explain", "lcp_cifar", "--cfg-options", HOSTILE],
        ["convert", f"{HOSTILE}\n.pt", "--out", "x.safetensors"],
    ],
)
def test_an_error_is_one_line_without_control_characters(
    words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("error: ") and "owned" in err
    assert not obeyed(err)


def test_an_error_about_a_class_names_it_harmlessly(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="two classes") as caught:
        ArraySet(np.zeros((1, 4, 4, 3), np.uint8), [0], [HOSTILE, HOSTILE], title=HOSTILE)
    complain(caught.value)
    assert not obeyed(capsys.readouterr().err)


def test_the_progress_bar_of_a_run_in_a_folder_of_any_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bar = ProgressBar()
    game = SimpleNamespace(networks={}, device=SimpleNamespace(type="cpu"))
    runner = SimpleNamespace(iter=0, max_iters=3, work_dir=str(tmp_path / HOSTILE), model=game)
    bar.before_train(runner)
    bar.after_train_iter(runner, 0, outputs={f"loss{HOSTILE}": 1.0})
    bar.after_train(runner)
    written = capsys.readouterr().err
    assert "owned" in written
    assert not obeyed(written.replace("\r", ""))  # the bar itself returns to the start of its line
