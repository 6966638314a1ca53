"""``toolbox new-plugin``: what it writes installs, is found, passes its own test and trains."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest

from toolbox.cli.main import main
from toolbox.cli.new_plugin import FILES, NewPluginError, write_plugin
from toolbox.plugins import PluginHost
from toolbox.testing import check_plugin

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My-Paper", "must be lower-case letters.* such as 'my_paper'"),
        ("2fast", "a letter first, such as 'fast'"),
        ("class", "is a word of Python .*such as 'class_paper'"),
        ("lcp", "plugin name 'lcp' is taken by toolbox-lcp; taken names: .*lcp"),
        ("toolbox", "is taken by generative-toolbox"),
        ("", "must be lower-case letters"),
    ],
)
def test_bad_names_are_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(NewPluginError, match=message):
        write_plugin(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_plugin("paper_one", tmp_path)
    with pytest.raises(NewPluginError, match="paper_one exists already"):
        write_plugin("paper_one", tmp_path)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["new-plugin", "paper_two", "--into", str(tmp_path)]) == 0
    assert "toolbox train paper_two/cifar --quick" in capsys.readouterr().out
    assert main(["new-plugin", "Paper", "--into", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("error: plugin name 'Paper'")
    written = {
        str(file.relative_to(tmp_path / "paper_two"))
        for file in (tmp_path / "paper_two").rglob("*")
        if file.is_file()
    }
    assert written == {target.replace("$name", "paper_two") for target in FILES.values()}
    assert "$" not in "".join(
        file.read_text() for file in (tmp_path / "paper_two").rglob("*") if file.is_file()
    )


def test_it_is_found_and_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from toolbox.source_tree import SourceFinder, use_plugin

    folder = write_plugin("paper_three", tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(
        sys, "meta_path", [finder for finder in sys.meta_path if not isinstance(finder, SourceFinder)]
    )
    use_plugin(folder)
    host = PluginHost()
    host.load_installed()
    record = next(record for record in host.records if record.name == "paper_three")
    assert (record.state, record.distribution, record.version) == ("loaded", "toolbox-paper-three", "0.1.0")
    assert record.hooks == ["configs", "plugin_info", "register_components"]
    assert host.configs()["paper_three/cifar"].is_file()
    assert host.catalog.find("PaperThreeFeatureMatching").load()
    check_plugin("toolbox_paper_three")


def test_what_would_be_packed(tmp_path: Path) -> None:
    folder = write_plugin("paper_four", tmp_path)
    setup = configparser.ConfigParser()
    setup.read(folder / "setup.cfg")
    assert setup["options.entry_points"]["toolbox.plugins"].strip() == "paper_four = toolbox_paper_four"
    assert setup["options"]["install_requires"].strip() == "generative-toolbox>=0.1,<0.2"
    core = configparser.ConfigParser()
    core.read(ROOT / "setup.cfg")
    assert "cli/templates/*" in core["options.package_data"]["toolbox"]


def test_its_own_tests_pass_and_it_trains(tmp_path: Path) -> None:
    folder = write_plugin("paper_five", tmp_path)
    path = os.pathsep.join([str(ROOT), str(ROOT / "plugins" / "lcp")])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    answer = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "4 passed" in answer.stdout
