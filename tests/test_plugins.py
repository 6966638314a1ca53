"""Plugins are loaded one by one: a broken one is reported and harms nothing else."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from toolbox import hookspecs
from toolbox.catalog import CatalogError
from toolbox.cli.main import main
from toolbox.plugins import DISABLE_VARIABLE, PluginHost, disabled_by_environment

ROOT = Path(__file__).parent.parent
HOOKS = [name for name in vars(hookspecs) if hasattr(getattr(hookspecs, name), "toolbox_spec")]

FINE = """
import toolbox
from torch import nn

class Part(nn.Module):
    '''A part.'''

@toolbox.hookimpl
def plugin_info():
    return dict(title='Fine', paper='A paper (2024)', summary='one part', api_version=1)

@toolbox.hookimpl
def register_components(register):
    register('network', 'Part', '{stem}:Part')
"""
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def file(text: str = FINE, stem: str = "fine_part") -> Path:
        path = tmp_path / f"{stem}.py"
        path.write_text(text.format(stem=stem) if "{stem}" in text else text)
        return path

    return file


class Point:
    """An entry point that loads what it is told."""

    def __init__(self, name: str, loaded: Any) -> None:
        self.name, self.value, self.loaded = name, f"{name}:plugin", loaded
        self.dist = SimpleNamespace(name=f"toolbox-{name}", version="1.0")

    def load(self) -> Any:
        if isinstance(self.loaded, Exception):
            raise self.loaded
        return self.loaded


def installed(
    monkeypatch: pytest.MonkeyPatch, disabled: set[str] = frozenset(), **plugins: Any
) -> PluginHost:  # type: ignore[assignment]
    points = [Point(name, plugin) for name, plugin in plugins.items()]
    monkeypatch.setattr(
        metadata, "entry_points", lambda group="": points if group else metadata.EntryPoints()
    )
    host = PluginHost(disabled)
    host.load_installed()
    return host


def plugin(**hooks: Callable[..., Any]) -> Any:
    return SimpleNamespace(**{name: hookspecs.hookimpl(function) for name, function in hooks.items()})


def states(host: PluginHost) -> dict[str, str]:
    return {record.name: record.state for record in host.records}


# -- isolation -----------------------------------------------------------------------------------------------


def test_a_broken_plugin_is_reported_and_the_others_load(monkeypatch: pytest.MonkeyPatch) -> None:
    fine = plugin(register_components=lambda register: register("network", "Fine", "torch.nn:Linear"))
    host = installed(
        monkeypatch, a=ImportError("no module named 'gone'"), b=fine, c=plugin(plugin_info=lambda: 1 / 0)
    )
    assert states(host) == {"toolbox": "loaded", "a": "failed", "b": "loaded", "c": "failed"}
    assert [record.reason for record in host.problems()] == [
        "ImportError: no module named 'gone'",
        "ZeroDivisionError: division by zero",
    ]
    assert "Fine" in host.catalog and host.hook.configs()


def test_half_registered_components_are_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def register_components(register: Any) -> None:
        register("network", "First", "torch.nn:Linear")
        register("network", "with a blank", "torch.nn:Linear")

    host = installed(monkeypatch, half=plugin(register_components=register_components))
    assert states(host)["half"] == "failed" and "First" not in host.catalog
    assert not host._manager.has_plugin("half")


def test_a_name_that_is_taken_fails_the_later_plugin_only(monkeypatch: pytest.MonkeyPatch) -> None:
    host = installed(
        monkeypatch,
        thief=plugin(register_components=lambda register: register("network", "Clip", "torch.nn:Linear")),
    )
    assert states(host)["thief"] == "failed" and host.catalog.find("Clip").plugin == "toolbox"
    assert "name 'Clip' is taken by toolbox.models.clip:Clip" in host.problems()[0].reason


def test_a_misspelt_hook_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # pluggy accepts it and never calls it
    host = installed(
        monkeypatch, a=plugin(add_comands=lambda subparsers: None), b=plugin(configs=lambda folder: {})
    )
    reasons = [record.reason for record in host.problems()]
    assert "hook 'add_comands' does not exist - did you mean 'add_commands'" in reasons[0]
    assert "folder" in reasons[1]


def test_a_plugin_for_a_newer_api_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = plugin(
        plugin_info=lambda: dict(api_version=99),
        register_components=lambda register: register("network", "New", "a:New"),
    )
    host = installed(monkeypatch, newer=newer)
    assert states(host)["newer"] == "skipped" and "New" not in host.catalog
    assert host.problems()[0].reason == "written for plugin API 99, this toolbox has 1: upgrade it"


def test_plugins_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DISABLE_VARIABLE, " a, b ,")
    assert disabled_by_environment() == {"a", "b"}
    never = ImportError("must not be imported")
    assert states(installed(monkeypatch, {"a"}, a=never, b=plugin())) == {
        "toolbox": "loaded",
        "a": "disabled",
        "b": "loaded",
    }
    assert states(installed(monkeypatch, {"*"}, a=never, b=never)) == {
        "toolbox": "loaded",
        "a": "disabled",
        "b": "disabled",
    }


def test_an_entry_point_that_is_listed_twice_loads_once(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [Point("a", plugin()), Point("a", plugin())]
    monkeypatch.setattr(
        metadata, "entry_points", lambda group="": points if group else metadata.EntryPoints()
    )
    host = PluginHost()
    host.load_installed()
    assert [record.name for record in host.records] == ["toolbox", "a"]


def test_check_lists_every_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def register_components(register: Any) -> None:
        register("network", "Gone", "nowhere_at_all:Gone")
        register("generator", "Wrong", "torch.nn:Linear")

    host = installed(monkeypatch, bad=plugin(register_components=register_components), worse=ImportError("x"))
    faults = "\n".join(host.check())
    assert "plugin worse: failed: ImportError: x" in faults
    assert (
        "bad: network Gone: CatalogError" in faults
        and "bad: generator Wrong: TypeError" in faults
        and faults.count("\n") == 2
    )


# -- single files --------------------------------------------------------------------------------------------


def test_a_single_file_is_a_plugin(write: Write) -> None:
    host = PluginHost()
    record = host.load_file(write())
    assert (record.state, record.title, record.components) == ("loaded", "Fine", {"network": ["Part"]})
    assert host.catalog.find("Part").load().__doc__ == "A part."
    assert host.load_file(write()) is record


def test_a_file_whose_name_is_taken_is_refused(write: Write, tmp_path: Path) -> None:
    """Neither passed over for the plugin that has the name, nor put in the place of a module of Python."""
    host = PluginHost()
    host.load_file(write())
    (tmp_path / "other").mkdir()
    other = host.load_file(write().rename(tmp_path / "other" / "fine_part.py"))
    assert other.state == "failed" and "'fine_part' is taken by" in other.reason
    assert "name of a module of Python: rename it" in host.load_file(write(stem="random")).reason


def test_a_broken_hook_harms_its_own_plugin_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Configs, commands and pictures of the others are there; an implementation may leave arguments out."""

    def configs() -> dict[str, Path]:
        raise RuntimeError("torn")

    def draw_pictures(folder: Path) -> None:
        (folder / "drawn").touch()

    def draw_nothing(sampler: Any) -> None:
        raise RuntimeError("no ink")

    host = installed(
        monkeypatch,
        broken=plugin(configs=configs),
        bad=plugin(draw_pictures=draw_nothing),
        good=plugin(draw_pictures=draw_pictures, configs=lambda: {"one": tmp_path}),
    )
    assert host.configs()["good/one"] == tmp_path
    assert [(r.name, r.reason) for r in host.problems()] == [("broken", "configs(): RuntimeError: torn")]
    assert list(host.call_each("draw_pictures", sampler=None, real=None, folder=tmp_path)) == ["bad"]
    assert (tmp_path / "drawn").is_file()


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "plugin file" in PluginHost().load_file(tmp_path / "nothing.py").reason
    assert "No module named 'no_such_module'" in PluginHost().load_file("no_such_module").reason


# -- the command ---------------------------------------------------------------------------------------------


def test_the_listing(capsys: pytest.CaptureFixture[str], write: Write) -> None:
    assert (
        main(
            [
                "plugins",
                "--json",
                "--plugin",
                str(write(stem="listed_part").rename(write().parent / "listed.py")),
            ]
        )
        == 0
    )
    listed = {record["name"]: record for record in json.loads(capsys.readouterr().out)["plugins"]}
    assert listed["toolbox"]["state"] == "loaded" and listed["toolbox"]["version"]
    assert (
        "SoftKMeans" in listed["lcp"]["components"]["clusterer"]
        and "register_components" in listed["lcp"]["hooks"]
    )
    assert main(["plugins"]) == 0
    assert re.search(r"lcp [\d.]+ +\[loaded\] +LCP-GAN", capsys.readouterr().out)


# -- hooks: each one is called, and documented ---------------------------------------------------------------


def one(monkeypatch: pytest.MonkeyPatch, **hooks: Callable[..., Any]) -> PluginHost:
    return installed(monkeypatch, one=plugin(**hooks))


def hook_plugin_info(monkeypatch: pytest.MonkeyPatch) -> None:
    host = one(monkeypatch, plugin_info=lambda: dict(title="T", paper="P", summary="S", api_version=1))
    assert (host.records[-1].title, host.records[-1].paper, host.records[-1].summary) == ("T", "P", "S")


def hook_register_components(monkeypatch: pytest.MonkeyPatch) -> None:
    host = one(monkeypatch, register_components=lambda register: register("network", "L", "torch.nn:Linear"))
    assert host.catalog.find("L", "network").plugin == "one"


def hook_configs(monkeypatch: pytest.MonkeyPatch) -> None:
    host = one(monkeypatch, configs=lambda: {"small": Path("small.py")})
    assert host.configs()["one/small"] == Path("small.py")


def hook_config_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    host = one(monkeypatch, config_choices=lambda: {"paint fit": {"colour": ("name", "number")}})
    assert host.config_choices("paint fit") == {"colour": ("name", "number")}
    assert host.config_choices("train") == {}
    host = one(monkeypatch, config_choices=lambda: 1 / 0)
    assert host.config_choices("train") == {} and host.records[-1].state == "failed"


def hook_add_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    def add_commands(subparsers: Any) -> None:
        subparsers.add_parser("hello").set_defaults(execute=lambda arguments: 7)

    host = one(monkeypatch, add_commands=add_commands)
    parser = argparse.ArgumentParser()
    host.hook.add_commands(subparsers=parser.add_subparsers())
    assert parser.parse_args(["hello"]).execute(None) == 7
    monkeypatch.setattr("toolbox.cli.main.host", lambda: host)
    assert main(["hello"]) == 7


def hook_draw_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Path] = []
    host = one(monkeypatch, draw_pictures=lambda folder: drawn.append(folder))
    host.hook.draw_pictures(sampler=None, real=None, folder=Path("run"))
    assert drawn == [Path("run")]


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_called(hook: str, monkeypatch: pytest.MonkeyPatch) -> None:
    globals()[f"hook_{hook}"](monkeypatch)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_section_in_the_guide(hook: str) -> None:
    assert re.search(rf"^### `{hook}\(", (ROOT / "docs" / "plugins.md").read_text(), re.MULTILINE)
    assert getattr(hookspecs, hook).__doc__


@pytest.mark.parametrize(
    ("group", "near"),
    [
        ("toolbox.plugin", True),
        ("toolbox_plugins", True),
        ("tolbox.plugins", True),
        ("toolbox", True),
        ("toolbox.plugins", False),
        ("mytoolbox.plugins", False),
        ("console_scripts", False),
    ],
)
def test_an_entry_point_in_a_group_that_is_nearly_ours(
    group: str, near: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is never looked for: the list of plugins says so, with the group that it should be in."""
    stray = metadata.EntryPoint("my_paper", "my_paper:plugin", group)
    found = metadata.EntryPoints([stray])
    monkeypatch.setattr(metadata, "entry_points", lambda group="": [] if group else found)
    host = PluginHost()
    host.load_installed()
    reason = f"its entry point is in the group {group!r}, plugins are found in 'toolbox.plugins'"
    assert [record.reason for record in host.problems()] == ([reason] if near else [])
    if near:
        with pytest.raises(CatalogError, match="plugin my_paper is failed: its entry point is in the group"):
            host.catalog.find("MyGenerator")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (
            "def register_components(registr): registr('network', 'A', 'a:A')",
            "hook 'register_components' has no argument 'registr' - did you mean 'register'?; it is "
            "def register_components(register)",
        ),
        (
            "def register_components(): pass",
            "hook 'register_components' does nothing without its argument 'register'",
        ),
        (
            "def draw_pictures(sampler, reel, folder): pass",
            "hook 'draw_pictures' has no argument 'reel' - did you mean 'real'?; it is "
            "def draw_pictures(sampler, real, folder)",
        ),
        (
            "def plugin_info(name): return {}",
            "hook 'plugin_info' has no argument 'name'; it is def plugin_info()",
        ),
        ("def draw_pictures(sampler, folder, size=3): pass", ""),
    ],
)
def test_arguments_of_a_hook_are_called_as_it_calls_them(code: str, reason: str, write: Write) -> None:
    """One line with the near miss; fewer arguments, and further ones with defaults, are fine."""
    record = PluginHost().load_file(write(f"import toolbox\n\n@toolbox.hookimpl\n{code}\n", "hooky"))
    assert reason in record.reason and "\n" not in record.reason
    assert record.state == ("failed" if reason else "loaded")
