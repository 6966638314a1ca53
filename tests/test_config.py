"""Finding, reading, overriding and checking configs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from toolbox.config import ConfigError, check_keys, find_config, load_config, override, resolve_config
from toolbox.plugins import PluginRecord, host

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def file(text: str, name: str = "mine") -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        return path

    return file


BASE = """
title = 'a base'
_hidden = 3
model = dict(type='Game', networks=dict(generator=dict(type='A', channels=_hidden), extra=dict(type='B')),
             phases=[dict(player='g')])
train_cfg = dict(max_iters=100)
hooks = dict(checkpoints=dict(type='Checkpoints', interval=10), samples=dict(type='SampleGrid'))
quick = dict(train_cfg=dict(max_iters=2), model=dict(networks=dict(generator=dict(channels=1), extra=None)))
"""


def test_helper_variables_and_the_quick_block_are_taken_out(write: Write) -> None:
    config = load_config(write(BASE))
    assert config.model.networks.generator.channels == 3 and config.train_cfg.max_iters == 100
    assert "_hidden" not in config and "quick" not in config and config.default_scope == "toolbox"


def test_quick_overrides_and_options_come_last(write: Write) -> None:
    config = load_config(write(BASE), quick=True, options={"train_cfg.max_iters": 7, "hooks.samples": None})
    assert config.model.networks.generator == dict(type="A", channels=1)
    assert (
        config.model.networks.extra is None
        and config.train_cfg.max_iters == 7
        and config.hooks.samples is None
    )
    with pytest.raises(ConfigError, match="has no 'quick' block"):
        load_config(write("title = 'x'", "slow"), quick=True)


def test_a_component_of_another_type_replaces_the_old_one_whole() -> None:
    base = dict(x=dict(type="A", a=1), y=dict(b=1))
    assert override(base, dict(x=dict(type="B", c=2), y=dict(c=2))) == dict(
        x=dict(type="B", c=2), y=dict(b=1, c=2)
    )
    assert override(base, dict(x=dict(type="A", c=2), y=dict(_delete_=True, z=0))) == dict(
        x=dict(type="A", a=1, c=2), y=dict(z=0)
    )


def test_an_unknown_key_names_the_near_miss(write: Write) -> None:
    with pytest.raises(
        ConfigError, match=r"unknown top-level key 'modle' - did you mean 'model'.*start with an underscore"
    ):
        load_config(write("modle = dict()"))
    check_keys(dict(model=1, seed=0))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("train_cgf.max_iters", "there is no 'train_cgf' - did you mean 'train_cfg'"),
        (
            "model.networks.genrator.channels",
            "there is no 'model.networks.genrator' - did you mean 'generator'",
        ),
        ("model.phases.3.player", "there is no 'model.phases.3'"),
        ("sed", "unknown top-level key 'sed' - did you mean 'seed'"),
    ],
)
def test_an_option_into_nowhere(write: Write, option: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(write(BASE), options={option: 1})


def test_a_file_that_does_not_parse_is_named(write: Write) -> None:
    with pytest.raises(ConfigError, match=r"mine.py' cannot be read: SyntaxError"):
        load_config(write("model = dict("))
    with pytest.raises(ConfigError, match="cannot be read: ZeroDivisionError"):
        load_config(write("seed = 1 / 0"))


def test_a_config_for_another_command(write: Write) -> None:
    """It has keys of its own, and says who reads it, also where only its base does."""
    write("command = 'paint fit'\ncolours = 3\n", "base")
    path = write("_base_ = 'base.py'\n")
    with pytest.raises(
        ConfigError, match=r"is not for 'toolbox train': it is read by `toolbox paint fit .*mine.py`"
    ):
        load_config(path)
    own = dict(command="paint fit", keys=dict(command="who", colours="how many"))
    assert load_config(path, **own).colours == 3
    with pytest.raises(ConfigError, match="unknown top-level key 'colour' - did you mean 'colours'"):
        load_config(write("_base_ = 'base.py'\ncolour = 4\n"), **own)
    with pytest.raises(ConfigError, match=r"is not for 'toolbox paint fit': it is read by `toolbox train"):
        load_config(write(BASE), **own)


# -- names of plugins ----------------------------------------------------------------------------------------


def test_plugin_names_resolve_on_the_command_line(write: Write) -> None:
    assert find_config("toolbox/biggan_cifar") == find_config("toolbox/biggan_cifar.py")
    assert load_config("toolbox/biggan_cifar").model.type == "Game"
    path = write(BASE)
    assert find_config(path) == find_config(str(path).removesuffix(".py")) == path


@pytest.mark.parametrize("base", ["'toolbox/biggan_cifar'", "['toolbox/biggan_cifar']"])
def test_plugin_names_resolve_in_base(write: Write, base: str) -> None:
    child = load_config(
        write(f"'''Mine.'''\n_base_ = {base}\ntrain_cfg = dict(max_iters=_base_.train_cfg.max_iters + 1)\n")
    )
    parent = load_config("toolbox/biggan_cifar")
    assert child.train_cfg.max_iters == parent.train_cfg.max_iters + 1 and child.model == parent.model


def test_quick_of_a_config_on_a_plugins_base(write: Write) -> None:
    path = write("_base_ = 'toolbox/biggan_cifar'\nquick = dict(train_cfg=dict(max_iters=2))\n")
    config = load_config(path, quick=True)
    assert config.filename == str(path) and config.train_cfg.max_iters == 2
    assert (
        config.model.networks.generator.channels
        == load_config("toolbox/biggan_cifar", quick=True).model.networks.generator.channels
    )


def test_plugin_names_resolve_through_a_local_base(write: Write) -> None:
    write("_base_ = 'toolbox/biggan_cifar'\nseed = 5\n", "middle")
    config = load_config(write("_base_ = 'middle.py'\ntitle = 'top'\n", "top"))
    assert (config.seed, config.title, config.model.type) == (5, "top", "Game")


def test_a_missing_config_names_the_near_miss_or_the_plugin(write: Write) -> None:
    write(BASE)
    with pytest.raises(ConfigError, match="did you mean 'toolbox/biggan_cifar'"):
        find_config("toolbox/biggan_cifra")
    with pytest.raises(
        ConfigError, match="no plugin 'stylegan9' is installed \\(pip install toolbox-stylegan9"
    ):
        find_config("stylegan9/ffhq")
    with pytest.raises(ConfigError, match=r"config 'gone/x' is neither a file nor '<plugin>/<config>'"):
        load_config(write("_base_ = 'gone/x'\n", "orphan"))


def test_a_plugin_that_failed_is_named_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        host(), "records", [*host().records, PluginRecord("torn", "failed", reason="ImportError: no cupy")]
    )
    with pytest.raises(ConfigError, match="plugin 'torn' is failed: ImportError: no cupy"):
        find_config("torn/x")


def test_a_config_may_name_plugin_files(write: Write) -> None:
    plugin = write(
        "import toolbox\n@toolbox.hookimpl\ndef plugin_info():\n    return dict(title='in a config')\n",
        "config_plugin_file",
    )
    load_config(write(f"plugins = [{str(plugin)!r}]\n"))
    assert (
        next(record for record in host().records if record.name == "config_plugin_file").title
        == "in a config"
    )


def test_every_config_of_this_checkout_loads_and_says_what_it_is() -> None:
    """Those of other commands than training are loaded by the tests of who reads them."""
    from toolbox.cli.configs import _summary

    for file in host().configs().values():
        assert _summary(file)
        if resolve_config(file).values().get("command", "train") != "train":
            continue
        if load_config(file).get("title") and "quick" in file.read_text():
            load_config(file, quick=True)
