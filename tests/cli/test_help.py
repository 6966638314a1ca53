"""``toolbox help NAME``, ``python -m toolbox``, ``dir(toolbox)``: how a stranger finds out what there is."""

from __future__ import annotations

import subprocess
import sys

import pytest

import toolbox
from toolbox.cli.main import COMMANDS, main


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("KLiSH", ["clusterer of plugin klish", "Args:", "arguments:", "clusters: int = "]),
        ("FID", ["metric of plugin toolbox", "n_fake: ", "ddof: int = 1"]),
        ("fid", ["usage: toolbox fid", "--metric NAME"]),
        ("precision_recall", ["PrecisionRecall: metric", "k: int = 3"]),
        ("SampleGrid", ["hook of plugin toolbox", "interval: int = 500"]),
        ("FirstAvailable", ["component of plugin toolbox", "candidates: "]),
        ("sample", ["usage: toolbox sample", "--truncation PSI"]),
        ("klish", ["usage: toolbox klish"]),
        ("register_components", ["a hook that a plugin may implement", "Declare components"]),
        ("evaluation", ["top-level key of a config", "what is measured"]),
        ("help", ["usage: toolbox help"]),
    ],
)
def test_a_name_is_explained(name: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", name]) == 0
    printed = capsys.readouterr().out
    assert [word for word in words if word not in printed] == []


def test_every_component_has_a_text(capsys: pytest.CaptureFixture[str]) -> None:
    from toolbox.cli.help import _known, explained

    known = _known()
    texts = [explained(entry, known) for entry in known["metric"]]
    assert all("arguments:" in text and "(it has no docstring)" not in text for text in texts)


@pytest.mark.parametrize(
    ("name", "near"), [("KLiSHH", "KLiSH"), ("smaple", "sample"), ("evalution", "evaluation")]
)
def test_a_near_miss(name: str, near: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", name]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: nothing is called {name!r} - did you mean ") and repr(near) in error


def test_all_names(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    printed = capsys.readouterr().out
    assert all(
        name in printed for name in [*COMMANDS, "KLiSH", "BigGANGenerator", "train_dataloader", "klish"]
    )


def test_the_package_is_a_command() -> None:
    """As python -m toolbox, where no script is on the path."""
    command = [sys.executable, "-m", "toolbox", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == toolbox.__version__


def test_dir_lists_what_there_is() -> None:
    """Before anything was used, too."""
    code = "import toolbox; print(set(toolbox.__all__) - set(dir(toolbox)), 'os' in dir(toolbox))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set() False"
    assert {"build", "load_generator", "train"} <= set(dir(toolbox))
