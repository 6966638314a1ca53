"""The set-up: re-entrant, mends what was interrupted, touches nothing that is not its own."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module; commands are written down in ``script.commands`` instead of run."""
    spec = importlib.util.spec_from_file_location("setup_venv", ROOT / "tools" / "setup_venv.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.commands = []
    monkeypatch.setattr(module, "run", module.commands.append)
    return module


@pytest.fixture
def set_up(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[list[str]]]:
    """Calls the script; returns the commands of that call."""

    def call(*arguments: str) -> list[list[str]]:
        script.commands.clear()
        monkeypatch.setattr(sys, "argv", ["setup_venv.py", "--venv", str(tmp_path / "venv"), *arguments])
        script.main()
        return list(script.commands)

    return call


def test_torch_goes_first_and_alone_then_the_rest_in_one_call(set_up: Callable) -> None:
    venv, torch, rest, check = set_up("--extra", "test")
    assert venv[1:3] == ["-m", "venv"]
    assert torch[-1].startswith("torch==")
    assert f"{ROOT}[test]" in rest and str(ROOT / "plugins" / "lcp") in rest
    assert str(ROOT / "constraints.txt") in torch and str(ROOT / "constraints.txt") in rest
    assert check[-1] == "check"


def test_a_second_call_does_nothing_and_a_new_extra_is_added(set_up: Callable) -> None:
    set_up("--extra", "test")
    assert set_up() == set_up("--extra", "test") == []
    added = set_up("--extra", "lint")
    assert f"{ROOT}[lint,test]" in added[1]
    assert not any("venv" in command for command in added)


def test_an_interrupted_one_starts_over(
    script: ModuleType, set_up: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(command: list[str]) -> None:
        if "install" in command:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(script, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            set_up()
    (tmp_path / "venv" / "half_installed").touch()
    assert len(set_up()) == 4
    assert not (tmp_path / "venv" / "half_installed").exists()


def test_changed_pins_are_installed_into_the_same_environment(
    script: ModuleType, set_up: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up()
    monkeypatch.setattr(script, "fingerprint", lambda: "other pins")
    assert [command[3] for command in set_up()] == ["install", "install", "check"]


def test_another_python_starts_over(set_up: Callable, tmp_path: Path) -> None:
    set_up()
    file = tmp_path / "venv" / "toolbox-setup.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "python": "3.10.1"}))
    assert len(set_up()) == 4


def test_someone_elses_environment_is_left_alone(set_up: Callable, tmp_path: Path) -> None:
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    with pytest.raises(SystemExit, match="was not made by this script"):
        set_up()
    assert (tmp_path / "venv" / "pyvenv.cfg").exists()


def test_an_old_python_is_told_what_is_needed(set_up: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    with pytest.raises(SystemExit, match=r"3\.11 to 3\.13 is needed"):
        set_up()


def test_it_says_in_plain_words_what_it_does(set_up: Callable, capsys: pytest.CaptureFixture[str]) -> None:
    set_up("--extra", "test")
    making, torch, rest, check, ready = capsys.readouterr().out.splitlines()
    assert making.startswith("making ") and torch.startswith("installing torch==")
    assert rest == "installing the toolbox, ipl, klish, lcp, scl, test and what they need ..."
    assert check == "checking that all requirements are met ..." and "is ready" in ready


@pytest.fixture
def plain() -> ModuleType:
    """The script as a module that runs commands."""
    spec = importlib.util.spec_from_file_location("setup_venv", ROOT / "tools" / "setup_venv.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TALK = "import sys; print('WARNING: chatter'); print('the reason', file=sys.stderr); "


def test_a_failed_command_ends_it_and_says_why(plain: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="exit status 3"):
        plain.run([sys.executable, "-c", TALK + "raise SystemExit(3)"])
    shown = capsys.readouterr().out
    assert shown.startswith(f"+ {sys.executable}") and "chatter" in shown and "the reason" in shown


def test_what_a_command_says_is_not_shown_otherwise(
    plain: ModuleType, capfd: pytest.CaptureFixture[str]
) -> None:
    plain.run([sys.executable, "-c", TALK])
    assert capfd.readouterr() == ("", "")
