"""What a config resolves to: what a later file or the command line chooses is not undone, and is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolbox.cli.main import main
from toolbox.config import ConfigError, load_config, resolve_config
from toolbox.config.data import from_json, to_json, to_python
from toolbox.runs.changes import differences
from toolbox.runs.kept import keep_config, kept_config
from toolbox.training.stages import stage_config

Write = Callable[..., Path]
SOURCE = "train_dataloader.dataset.source"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def file(text: str, name: str = "mine") -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        return path

    return file


def resolved(path: str | Path, quick: bool = True, **options: Any) -> tuple[dict[str, Any], list[str]]:
    found = resolve_config(path, quick, {key.replace("__", "."): value for key, value in options.items()})
    return found.values(), found.notes


def source_of(config: dict[str, Any]) -> dict[str, Any]:
    source: dict[str, Any] = config["train_dataloader"]["dataset"]["source"]
    return source


# -- what a user chooses stays -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["klish_stylegan2_ffhq", "klish_biggan", "klish_embedded"])
@pytest.mark.parametrize(
    "source", [dict(type="PGGANGenerator"), dict(weights="mine.pkl"), dict(run="runs/mine")]
)
def test_another_generator_is_the_one_that_is_clustered(
    write: Write, name: str, source: dict[str, str]
) -> None:
    path = write(f"_base_ = 'klish/{name}'\ntitle = 'mine'\ngenerator = {source}\n")
    for quick in (False, True):
        config, notes = resolved(path, quick)
        assert (config["generator"], config["title"]) == (source, "mine")
    key, value = next(iter(source.items()))
    word = value if key == "type" else f"{key}={value!r}"
    kept = [f"--quick leaves: generator: {word} ({path})"]
    assert notes == ([] if name == "klish_embedded" else kept)  # its quick does not speak of the generator
    assert config["clusterers"]["klish"]["clusters"] <= 40  # small all the same


def test_a_generator_of_another_type_takes_nothing_of_the_old_one(write: Write) -> None:
    head = "command = 'klish fit'\n"
    write(f"{head}generator = dict(type='StyleGAN2Generator', image_size=64, weights='a')\n", "parent")
    for source in (dict(type="PGGANGenerator", channel_max=8), dict(run="runs/mine")):
        path = write(f"_base_ = 'parent.py'\ngenerator = {source}\n")
        assert resolved(path, quick=False)[0]["generator"] == source
    path = write("_base_ = 'parent.py'\ngenerator = dict(weights='b')\n")  # of the same network
    assert resolved(path, quick=False)[0]["generator"]["type"] == "StyleGAN2Generator"


def test_a_generator_named_on_the_command_line_is_the_one_that_is_clustered() -> None:
    for option, value in (("generator.weights", "mine.pkl"), ("generator.run", "runs/mine")):
        found = resolve_config("klish/klish_stylegan2_ffhq", True, {option: value})
        assert found.values()["generator"] == {option.split(".")[1]: value}
    config, notes = resolved("klish/klish_stylegan2_ffhq")
    assert config["generator"] == dict(type="EmbeddedStyleGAN2")
    published = "weights='weights/stylegan2-ffhq-1024x1024.pkl'"
    assert notes == [f"--quick swaps: EmbeddedStyleGAN2 instead of {published} (generator)"]


def test_weights_named_on_the_command_line_stay_where_quick_has_a_network_of_its_own() -> None:
    place, published = "model.networks.source", "weights='weights/stylegan2-ffhq-config-f.pt'"
    config, notes = resolved("ipl/ipl_ffhq_disney")
    assert config["model"]["networks"]["source"] == dict(type="EmbeddedStyleGAN2")
    assert f"EmbeddedStyleGAN2 instead of {published} (before.prompts.{place}, {place}" in notes[0]
    config, notes = resolved("ipl/ipl_ffhq_disney", model__networks__source__weights="mine.pt")
    assert config["model"]["networks"]["source"] == dict(weights="mine.pt")
    assert f"{place}: weights='mine.pt' (--cfg-options)" in notes[1]


@pytest.mark.parametrize(
    "source", [dict(type="MyImages", root="MY"), dict(type="ZippedImages", path="MY.zip")]
)
def test_another_data_set_is_the_one_that_is_trained_on(write: Write, source: dict[str, str]) -> None:
    """Nothing of the bases is merged into it, nothing has to be deleted; other data are said to differ."""
    text = f"_base_ = 'lcp/lcp_cifar'\ntrain_dataloader = dict(dataset=dict(source={source}))\n"
    path = write(text)
    for quick in (False, True):
        config, notes = resolved(path, quick)
        assert source_of(config) == source
    swaps, leaves, differ = notes
    assert "EmbeddedFashion instead of CIFAR10 (evaluation.real, evaluation.test)" in swaps
    assert leaves == f"--quick leaves: {SOURCE}: {source['type']} ({path})"
    assert f"training is on {source['type']}, but evaluation.real is EmbeddedFashion" in differ
    path = write(f"{text}evaluation = dict(real={source}, test=None)\n")
    config, notes = resolved(path)
    assert config["evaluation"]["real"] == source and config["evaluation"]["test"] is None and len(notes) == 2


def test_the_config_that_preset_writes_trains_on_the_folder_that_was_named(tmp_path: Path) -> None:
    """At the size that quick's networks have."""
    from PIL import Image

    out, data = tmp_path / "mine.py", tmp_path / "MY"
    for name in ("a", "b"):
        (data / name).mkdir(parents=True)
        Image.new("RGB", (256, 256)).save(data / name / "0.png")
    assert main(["preset", "auto", "--data", str(data), "-o", str(out)]) == 0
    config, notes = resolved(out)
    assert source_of(config) == dict(type="ImageFolder", root=str(data), image_size=32)
    assert config["model"]["networks"]["generator"]["image_size"] == 32
    assert notes == [f"--quick leaves: {SOURCE}: ImageFolder, root={str(data)!r} ({out})"]


@pytest.mark.parametrize("name", ["lcp/lcp_cifar", "lcp/lcp_folder", "toolbox/stylegan2_ada_auto"])
def test_a_root_on_the_command_line_names_the_data_of_the_config(name: str) -> None:
    full = source_of(resolved(name, quick=False)[0])
    config, notes = resolved(name, **{SOURCE.replace(".", "__") + "__root": "MY"})
    small = dict(image_size=32) if "image_size" in full else {}
    assert source_of(config) == {**full, "root": "MY", **small}
    assert f"{SOURCE}: {full['type']}" in " ".join(notes)


def test_a_type_on_the_command_line_replaces_what_was_there() -> None:
    options = {f"{SOURCE}.root": "MY", f"{SOURCE}.type": "ImageFolder"}  # in any order
    for quick in (False, True):
        found = resolve_config("toolbox/biggan_cifar", quick, options)
        assert source_of(found.values()) == dict(type="ImageFolder", root="MY")


def test_an_option_for_what_quick_puts_there_is_taken() -> None:
    config, _ = resolved("toolbox/biggan_cifar", **{SOURCE.replace(".", "__") + "__split": "test"})
    assert source_of(config) == dict(type="EmbeddedFashion", split="test")


def test_what_quick_swaps_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    load_config("toolbox/biggan_cifar", quick=True)
    said = capsys.readouterr()
    assert said.out == "" and said.err == (
        f"--quick swaps: EmbeddedFashion instead of CIFAR10 ({SOURCE}, evaluation.real, evaluation.test); "
        "EmbeddedClipFeatures instead of FirstAvailable (evaluation.extractor)\n"
    )
    load_config("toolbox/biggan_cifar")
    assert capsys.readouterr().err == ""


PARENT = """
model = dict(type='Game', phases=[dict(player='a', repeat=5)], conditioner=dict(type='A', a=1),
             average=dict(decay=0.9))
before = dict(first=dict(train_dataloader=dict(dataset=dict(source=dict(type='A', root='a')))))
quick = dict(model=dict(phases=[dict(player='a')], conditioner=dict(a=0), average=dict(decay=0.5)), seed=3,
             before=dict(first=dict(train_dataloader=dict(dataset=dict(source=dict(type='Small'))))))
"""


def test_components_lists_and_stages_of_a_later_file_stay(write: Write) -> None:
    """Also where a file in between says nothing; numbers are quick's."""
    write(PARENT, "parent")
    write("_base_ = 'parent.py'\n", "between")
    path = write(
        "_base_ = 'between.py'\nseed = 7\n"
        "model = dict(phases=[dict(player='b')], conditioner=dict(type='B', b=1),\n"
        "             average=dict(_delete_=True, half_life=3))\n"
        "before = dict(first=dict(train_dataloader=dict(dataset=dict(source=dict(root='mine')))))\n"
    )
    config, notes = resolved(path)
    assert config["model"] == dict(
        type="Game", phases=[dict(player="b")], conditioner=dict(type="B", b=1), average=dict(half_life=3)
    )
    assert config["seed"] == 3
    assert source_of(config["before"]["first"]) == dict(type="A", root="mine")
    (note,) = notes
    for words in ("model.phases: the list", "model.conditioner: B", f"before.first.{SOURCE}: A, root='mine'"):
        assert words in note


def test_a_root_is_not_quicks(write: Write) -> None:
    """Also where quick names a smaller folder of the same kind."""
    write("data = dict(type='A', root='all')\nquick = dict(data=dict(root='few', n=1))\n", "parent")
    path = write("_base_ = 'parent.py'\ndata = dict(root='mine')\n")
    config, notes = resolved(path)
    assert config["data"] == dict(type="A", root="mine", n=1)
    assert notes == [f"--quick leaves: data.root: 'mine' ({path})"]
    assert resolved(path.with_name("parent.py"))[0]["data"] == dict(type="A", root="few", n=1)


def test_quick_of_the_same_file_speaks_of_what_it_chooses(write: Write) -> None:
    write(PARENT, "parent")
    path = write(
        "_base_ = 'parent.py'\nmodel = dict(conditioner=dict(type='B', b=1))\n"
        "quick = dict(model=dict(conditioner=dict(b=0)))\n"
    )
    config, notes = resolved(path)
    assert config["model"]["conditioner"] == dict(type="B", b=0)
    assert "conditioner" not in " ".join(notes)


def test_delete_is_still_accepted(write: Write) -> None:
    write(PARENT, "parent")
    path = write(
        "_base_ = 'parent.py'\nmodel = dict(conditioner=dict(_delete_=True, type='A', b=1))\n"
        "quick = dict(model=dict(average=dict(_delete_=True, start=1)))\n"
    )
    assert resolved(path, quick=False)[0]["model"]["conditioner"] == dict(type="A", b=1)
    config, _ = resolved(path)
    assert config["model"]["conditioner"] == dict(type="A", b=1)
    assert config["model"]["average"] == dict(decay=0.9, start=1)  # without what the parent's quick says


def test_a_stage_replaces_a_component_of_the_run(write: Write) -> None:
    path = write(
        "train_dataloader = dict(dataset=dict(type='Stream', source=dict(type='A', root='a')))\n"
        "before = dict(first=dict(train_dataloader=dict(dataset=dict(source=dict(type='B', path='b')))))\n"
    )
    stage = stage_config(load_config(path), "first")
    assert stage.train_dataloader.dataset.source == dict(type="B", path="b")
    assert stage.train_dataloader.dataset.type == "Stream"


# -- files ---------------------------------------------------------------------------------------------------


def test_the_folder_of_a_file_is_its_own(write: Write, tmp_path: Path) -> None:
    """Also in a base, and where the base is a plugin's."""
    write("_base_ = 'toolbox/biggan_cifar'\nseed = 3\nload_from = '{{ fileDirname }}/a.pth'\n", "below")
    path = write("_base_ = 'below.py'\ntitle = '{{fileBasenameNoExtension}} {{ fileBasename }}'\n")
    config = load_config(path)
    assert (config.load_from, config.title) == (f"{tmp_path}/a.pth", "mine mine.py")


def test_a_plugin_beside_its_config_is_kept_by_its_whole_path(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugin = write("", "plugin_beside_a_config")
    path = write("plugins = ['plugin_beside_a_config.py', 'json']\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    config = load_config(path)
    assert list(config.plugins) == [str(plugin), "json"]
    keep_config(config, tmp_path / "run")
    assert load_config(tmp_path / "run").plugins == config.plugins


def test_templates_of_mmengine(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_LENGTH", "5")
    write("train_cfg = dict(max_iters=3)\n_widths = [1, 2]\n", "parent")
    path = write(
        "_base_ = 'parent.py'\nseed = {{ _base_.train_cfg.max_iters }}\nthreads = {{'$A_LENGTH:1'}}\n"
        "title = '{{$ANOTHER:none}}'\ntrain_cfg = dict(max_iters=_base_._widths[1])\n"
    )
    config = load_config(path)
    assert (config.seed, config.threads, config.title, config.train_cfg.max_iters) == (3, 5, "none", 2)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ({"mine": "_base_ = 'mine.py'\n"}, "is based on it in turn"),
        ({"a": "seed = 1\n", "b": "seed = 2\n", "mine": "_base_ = ['a.py', 'b.py']\n"}, "bases set seed"),
        ({"mine": "model = dict(type=dict)\n"}, r"model.type=<class 'dict'> .* named by its type='...'"),
        ({"mine": "quick = 3\n"}, "quick=3 .* must be a dict"),
        ({"mine": "with open('x'):\n    pass\n"}, "write _base_ ="),
        ({"mine": "seed = {{$NOT_SET_ANYWHERE:}}\n"}, "environment variable NOT_SET_ANYWHERE is not set"),
    ],
)
def test_files_that_cannot_be_read(write: Write, texts: dict[str, str], words: str) -> None:
    paths = [write(text, name) for name, text in texts.items()]
    with pytest.raises(ConfigError, match=words):
        load_config(paths[-1], quick="quick" in texts["mine"])


def test_options_that_fit_nowhere(write: Write) -> None:
    path = write("seed = 1\nstages = ['a']\nmodel = dict(conditioner=None)\n")
    for option, words in (
        ("seed.x", "seed is no dict"),
        ("stages.4", "stages has 1 entries"),
        ("model.conditioner.x", "model.conditioner is no dict"),
    ):
        with pytest.raises(ConfigError, match=words):
            load_config(path, options={option: 1})
    assert load_config(path, options={"stages.0": "b"}).stages == ["b"]


# -- toolbox config ------------------------------------------------------------------------------------------


def test_the_command_says_where_each_value_comes_from(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(PARENT, "parent")
    write("_base_ = 'parent.py'\nseed = 7\ntitle = 'x'\n")
    options = ["--cfg-options", "model.phases.0.repeat=2", "title=y"]
    assert main(["config", "mine.py", "--quick", *options]) == 0
    said = capsys.readouterr()
    lines = dict(line.split("  # ") for line in said.out.splitlines())
    found = {key.rstrip(): words for key, words in lines.items()}
    assert found["seed = 3"] == "quick of parent.py"
    assert found["title = 'y'"] == "--cfg-options"
    assert found["model.type = 'Game'"] == "parent.py"
    assert found["model.phases.0.player = 'a'"] == "quick of parent.py"
    assert found["model.phases.0.repeat = 2"] == "--cfg-options"
    assert len({line.index("  # ") for line in said.out.splitlines()}) == 1
    assert said.err.startswith("--quick swaps: Small instead of A")
    assert main(["config", "mine.py", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["config"]["seed"] == 7 and answer["origins"]["seed"] == "mine.py"


def test_the_command_reads_any_config(capsys: pytest.CaptureFixture[str]) -> None:
    """Also one that another command than `toolbox train` reads."""
    assert main(["config", "klish/klish_ada_cat", "--quick"]) == 0
    said = capsys.readouterr().out
    assert "generator.type = 'EmbeddedStyleGAN2'" in said and "command = 'klish fit'" in said


# -- data ----------------------------------------------------------------------------------------------------

ODD = dict(
    seed=0,
    train_cfg=dict(most=float("inf"), least=-float("inf"), none=float("nan"), betas=(0.5, (1, 2)), empty=()),
    model=dict(colours={0: "hair", "b": [None, True, "ä\n"]}, items={}),
)


def test_a_kept_config_comes_back_as_it_was(tmp_path: Path) -> None:
    """inf, nan, tuples, keys that are no strings; and nothing seems to have changed."""
    from mmengine import Config

    keep_config(Config(ODD), tmp_path)
    kept = kept_config(tmp_path).to_dict()
    assert repr(kept) == repr(ODD)
    assert list(differences(kept, ODD)) == []
    assert repr(from_json(to_json(ODD))) == repr(ODD)
    assert dict(differences(kept, {**ODD, "seed": float("nan")})).keys() == {"seed"}


def test_the_text_for_people_can_be_read_again(tmp_path: Path) -> None:
    from mmengine import Config

    (tmp_path / "config.py").write_text(to_python(Config(ODD)))
    again = Config.fromfile(tmp_path / "config.py").to_dict()
    assert list(differences(again, ODD)) == []


def test_what_a_run_keeps_is_not_executed(tmp_path: Path) -> None:
    """By the run's folder, by the file, as a base of another config."""
    (tmp_path / "config.json").write_text('{"seed": 4, "title": "import os"}')
    (tmp_path / "config.py").write_text("raise SystemExit('ran')\n")
    child = tmp_path / "child.py"
    child.write_text("_base_ = 'config.json'\nthreads = 1\n")
    for name in (tmp_path, tmp_path / "config.json", child):
        assert load_config(name).seed == 4
    assert kept_config(tmp_path).seed == 4


def test_an_older_run_keeps_python(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text("seed = 4\n")
    assert load_config(tmp_path).seed == kept_config(tmp_path).seed == 4


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": {"__items__": [3]}}', "[" * 100_000])
def test_data_that_are_no_config(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"config.json' (cannot be read|must hold)"):
        load_config(path)
    with pytest.raises(ConfigError, match=r"Bring it back, or delete it"):
        kept_config(tmp_path)
