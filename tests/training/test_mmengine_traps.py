"""One test for each silent trap of mmengine 0.10 that a run in one process can step into (docs/mmengine.md
lists them).
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner.checkpoint import CheckpointLoader

from toolbox.cli.common import read_options
from toolbox.config import ConfigError, load_config
from toolbox.data.stream import StreamSampler
from toolbox.registry import BuildError, build
from toolbox.training.checkpoints import CheckpointError, latest_checkpoint
from toolbox.training.run import runner
from toolbox.training.run.prepare import prepare
from toolbox.training.run.runner import build_runner

ROOT = Path(__file__).resolve().parents[2]
Made = Callable[..., Any]


@pytest.fixture
def made(config_file: Path, tmp_path: Path) -> Made:
    """A runner of the tiny config, not started."""

    def make(name: str = "run", resume: bool = False, **options: Any) -> Any:
        config = load_config(
            config_file, options={key.replace("__", "."): value for key, value in options.items()}
        )
        config.work_dir = str(tmp_path / name)
        return build_runner(prepare(config)[-1], resume=resume)

    return make


class Watch(Hook):
    """Calls a function after each iteration."""

    def __init__(self, function: Callable[[Any, int], None]) -> None:
        self.function = function

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.function(runner, batch_idx + 1)


def watched(runner: Any, function: Callable[[Any, int], None]) -> Any:
    runner.register_hook(Watch(function), priority="HIGHEST")
    return runner


# -- configs -------------------------------------------------------------------------------------------------


def test_trap_unknown_top_level_key(config_file: Path) -> None:
    config_file.write_text(config_file.read_text() + "\nparam_schedular = []\n")
    with pytest.raises(
        ConfigError, match="unknown top-level key 'param_schedular' - did you mean 'param_scheduler'"
    ):
        load_config(config_file)


def test_trap_unknown_argument_of_a_hook() -> None:
    with pytest.raises(
        BuildError,
        match=r"hooks.checkpoints: Checkpoints has no argument 'intervall' - did you mean 'interval'",
    ):
        build(dict(type="Checkpoints", intervall=3), "hook", "hooks.checkpoints")


def test_trap_inner_blanks_of_options() -> None:
    assert read_options(["title=a photo of a cat"]) == {"title": "a photo of a cat"}
    kinds = [
        "a=1",
        "b=1e-3",
        "c=true",
        "d=None",
        "e=[1,2]",
        "f=(1,2)",
        "g=1,2",
        "h=[a,b]",
        "i={'k': 1}",
        "j='x  y'",
    ]
    assert list(read_options(kinds).values()) == [
        1,
        1e-3,
        True,
        None,
        [1, 2],
        (1, 2),
        [1, 2],
        ["a", "b"],
        {"k": 1},
        "x  y",
    ]


@pytest.mark.parametrize("name", ["text", "filename", "pretty_text", "env_variables"])
def test_trap_reserved_names(config_file: Path, name: str) -> None:
    config_file.write_text(config_file.read_text() + f"\n{name} = 'a cat'\n")
    with pytest.raises(ConfigError, match=f"cannot be read: .*{name}"):
        load_config(config_file)


def test_trap_option_into_a_list(config_file: Path) -> None:
    assert load_config(config_file, options={"model.phases.0.repeat": 4}).model.phases[0]["repeat"] == 4
    with pytest.raises(ConfigError, match=r"there is no 'model.phases.7'"):
        load_config(config_file, options={"model.phases.7.repeat": 4})


def test_trap_sorted_dump(made: Made, config_file: Path, tmp_path: Path) -> None:
    # mmengine sorts the keys of a config that it writes: order must not have a meaning
    config = load_config(config_file)
    config.dump(tmp_path / "dumped.py")
    dumped = load_config(tmp_path / "dumped.py")
    assert [dict(p) for p in dumped.model.phases] == [dict(p) for p in config.model.phases]
    assert list(dumped.model) != list(config.model)
    weights = []
    for chosen, name in ((config, "one"), (dumped, "other")):
        chosen.work_dir = str(tmp_path / name)
        build_runner(prepare(chosen)[-1]).train()
        weights.append(torch.load(tmp_path / name / "iter_5.pth", weights_only=True)["state_dict"])
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[1])


def test_trap_base_of_another_package(config_file: Path, tmp_path: Path) -> None:
    # 'pkg::file' knows OpenMMLab's own packages only
    child = tmp_path / "child.py"
    child.write_text("_base_ = 'toolbox/biggan_cifar'\nseed = 7\n")
    config = load_config(child)
    assert config.seed == 7 and config.model.networks.generator.type == "BigGANGenerator"


def test_trap_pkg_resources() -> None:
    # setuptools no longer has it, and these functions of mmengine need it
    banned = re.compile(r"pkg_resources|is_installed\(|get_installed_path|mmengine\.hub|_base_ = ['\"]\w+::")
    files = [
        file
        for folder in ("toolbox", "plugins", "configs", "tools")
        for file in (ROOT / folder).rglob("*.py")
    ]
    assert not [str(file) for file in files if banned.search(file.read_text())]


# -- registries ----------------------------------------------------------------------------------------------


def test_trap_dot_in_a_name() -> None:
    from toolbox.catalog import Catalog, CatalogError

    with pytest.raises(CatalogError, match="without dots"):
        Catalog().add("network", "lcp.Generator", "a:B", "lcp")


def test_trap_scopes() -> None:
    # a root takes one child a scope, and finds it by the scope's name only
    from mmengine.registry import HOOKS, MODELS, DefaultScope

    from toolbox.registry import REGISTRIES

    assert type(HOOKS.build(dict(type="toolbox.Journal"))).__name__ == "Journal"
    assert MODELS.get("toolbox.Game") is REGISTRIES["model"].get("Game")
    with DefaultScope.overwrite_default_scope("toolbox"):
        assert type(HOOKS.build(dict(type="IterTimerHook"))).__name__ == "IterTimerHook"


def test_trap_missing_name_without_a_hint() -> None:
    with pytest.raises(BuildError, match="did you mean 'BigGANGenerator'"):
        build(dict(type="BigGanGenerator"), "generator")


def test_trap_constructor_error_without_a_place() -> None:
    with pytest.raises(
        BuildError,
        match=r"model\.networks\.generator: cannot build BigGANGenerator: ValueError: image_size=33",
    ):
        build(dict(type="BigGANGenerator", image_size=33), where="model.networks.generator")


# -- checkpoints and resume ----------------------------------------------------------------------------------


def test_trap_weights_only_resume(made: Made, tmp_path: Path) -> None:
    # torch refuses what mmengine puts into its checkpoints, so its resume fails
    made(train_cfg__max_iters=3).train()
    held = torch.load(tmp_path / "run" / "iter_3.pth", weights_only=True)
    assert held["message_hub"]["log_scalars"] == {} and held["meta"]["iter"] == 3
    seen: list[int] = []
    watched(made(resume=True), lambda runner, iteration: seen.append(iteration)).train()
    assert seen == [4, 5]


def test_trap_code_in_checkpoints(made: Made, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "owned"),)

    made()
    torch.save(dict(state_dict=Evil()), tmp_path / "evil.pth")
    with pytest.raises(CheckpointError, match="would run code"):
        CheckpointLoader.load_checkpoint(str(tmp_path / "evil.pth"))
    assert not (tmp_path / "owned").exists()


def test_trap_half_loaded_checkpoint(made: Made, tmp_path: Path) -> None:
    # strict is False by default: wrong shapes are a log message, and training goes on from random weights
    made(train_cfg__max_iters=3).train()
    other = made(resume=True, model__networks__generator__latent_dim=6)
    before = {key: value.clone() for key, value in other.model.state_dict().items()}
    with pytest.raises(CheckpointError, match="nothing was loaded"):
        other.train()
    assert all(torch.equal(before[key], value) for key, value in other.model.state_dict().items())


def test_trap_replay_on_resume(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    # mmengine's loop decodes every image again that was seen before
    made(train_cfg__max_iters=3).train()
    runner, read = made(resume=True), []
    stream = runner.train_dataloader.dataset
    item = type(stream).__getitem__
    monkeypatch.setattr(type(stream), "__getitem__", lambda self, key: read.append(key[0]) or item(self, key))
    runner.train()
    assert read == list(range(24, 40))


def test_trap_inexact_resume(made: Made, tmp_path: Path) -> None:
    # mmengine saves no state of random generators; here there is none to save
    made("whole").train()
    made("part", train_cfg__max_iters=3).train()
    torch.rand(100)
    made("part", resume=True).train()
    one, other = (
        torch.load(tmp_path / name / "iter_5.pth", weights_only=True)["state_dict"]
        for name in ("whole", "part")
    )
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_trap_pointer_of_another_folder(made: Made, tmp_path: Path) -> None:
    # mmengine's last_checkpoint holds a path: a run that was moved resumes from where it used to be, or not
    # at all
    made("here", train_cfg__max_iters=3).train()
    (tmp_path / "here").rename(tmp_path / "there")
    made("there", resume=True).train()
    assert (tmp_path / "there" / "iter_5.pth").is_file()


def test_trap_load_from_on_resume(made: Made, tmp_path: Path) -> None:
    # with both set, mmengine resumes from load_from, again and again
    made("base", train_cfg__max_iters=1).train()
    source = str(tmp_path / "base" / "iter_1.pth")
    made(load_from=source, train_cfg__max_iters=3).train()
    seen: list[int] = []
    watched(made(resume=True, load_from=source), lambda runner, iteration: seen.append(iteration)).train()
    assert seen == [4, 5]


def test_trap_ctrl_c_loses_the_run(made: Made, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT)  # ignored, where a shell started the tests in the background
    runner = watched(
        made(), lambda runner, iteration: os.kill(os.getpid(), signal.SIGINT) if iteration == 2 else None
    )
    runner.train()
    assert (
        runner.train_loop.stopped_by == "SIGINT"
        and latest_checkpoint(tmp_path / "run") == tmp_path / "run" / "iter_2.pth"
    )
    stop_at_once = watched(
        made("other"), lambda runner, iteration: [os.kill(os.getpid(), signal.SIGINT) for _ in range(2)]
    )
    with pytest.raises(KeyboardInterrupt):
        stop_at_once.train()
    assert signal.getsignal(signal.SIGINT) is before


# -- the loop, its data and its log --------------------------------------------------------------------------


def test_trap_batches_are_lists(made: Made) -> None:
    batch = next(iter(made().train_dataloader))
    assert {key: tuple(value.shape) for key, value in batch.items()} == {
        "images": (8, 3, 8, 8),
        "labels": (8,),
        "index": (8,),
    }


def test_trap_pause_at_the_end_of_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    # mmengine's loop sleeps two seconds whenever its loader ends; this stream has no end
    stream = iter(StreamSampler(range(10)))
    drawn = [next(stream) for _ in range(30)]
    assert [position for position, _ in drawn] == list(range(30))
    for epoch in range(3):
        assert sorted(entry for _, entry in drawn[10 * epoch : 10 * epoch + 10]) == list(range(10))


def test_trap_checkpoints_by_epoch(made: Made, tmp_path: Path) -> None:
    made().train()
    assert sorted(p.name for p in (tmp_path / "run").glob("*.pth")) == ["iter_3.pth", "iter_5.pth"]


@pytest.mark.parametrize("form", ["[{0}]", "dict(discriminator=[{0}], generator=[{0}])"])
def test_trap_scheduler_by_epoch(made: Made, config_file: Path, form: str) -> None:
    # by_epoch is True by default: such a schedule steps once in the whole run
    schedule = "dict(type='LinearLR', start_factor=0.5, begin=0, end=4)"
    config_file.write_text(f"{config_file.read_text()}\nparam_scheduler = {form.format(schedule)}\n")
    rates: list[float] = []
    watched(
        made(), lambda runner, _: rates.append(runner.optim_wrapper["generator"].get_lr()["lr"][0])
    ).train()
    assert rates == pytest.approx([5e-4, 5e-4 + 5e-4 / 3, 5e-4 + 1e-3 / 3, 1e-3, 1e-3])


def test_trap_scheduler_that_counts_epochs(made: Made) -> None:
    with pytest.raises(ConfigError, match="by_epoch=True never takes effect"):
        made(param_scheduler=[dict(type="LinearLR", start_factor=0.5, begin=0, end=4, by_epoch=True)])


def test_trap_log_by_epoch(made: Made, tmp_path: Path) -> None:
    # with the defaults, steps are counted in epochs: everything is stored at step 0
    runner = made(default_hooks=dict(logger=dict(interval=1)))
    assert runner.log_processor.by_epoch is False
    assert [hook.log_metric_by_epoch for hook in runner.hooks if type(hook).__name__ == "LoggerHook"] == [
        False
    ]
    runner.train()
    scalars = next((tmp_path / "run").glob("*/vis_data/scalars.json"))
    assert [json.loads(line)["step"] for line in scalars.read_text().splitlines()] == [1, 2, 3, 4, 5]
    assert [
        json.loads(line)["iteration"]
        for line in (tmp_path / "run" / "scalars.jsonl").read_text().splitlines()
    ] == [1, 2, 3, 4, 5]


def test_trap_growing_history(made: Made, tmp_path: Path) -> None:
    # every scalar of every iteration is kept, copied at each update, and saved
    runner = made(train_cfg__max_iters=30, hooks__journal__keep=3)
    runner.train()
    assert max(len(buffer.data[0]) for buffer in runner.message_hub.log_scalars.values()) <= 7
    size = {i: (tmp_path / "run" / f"iter_{i}.pth").stat().st_size for i in (3, 30)}
    assert abs(size[30] - size[3]) < 2000


def test_trap_ninety_lines_at_the_start(
    made: Made, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    made().train()
    shown = capfd.readouterr()
    assert len((shown.out + shown.err).splitlines()) <= 2
    assert len((tmp_path / "run" / "log.txt").read_text().splitlines()) > 50


def test_trap_two_runners_in_one_second(made: Made) -> None:
    # loggers, message hubs and visualisers are looked up by name and second
    one, other = made("a"), made("b")
    assert one.experiment_name != other.experiment_name
    assert one.message_hub is not other.message_hub and one.visualizer is not other.visualizer
    one.message_hub.update_info("iter", 99)
    assert other.message_hub.get_info("iter", 0) != 99


def test_trap_compiling_the_whole_iteration(made: Made) -> None:
    # the Runner reads the config's `compile` too, and replaces train_step by a compiled one
    runner = made(compile=dict(backend="eager"))
    runner.train()
    assert runner.model.compiled.on
    assert "train_step" not in vars(runner.model)


def test_trap_averaging_the_whole_model(made: Made) -> None:
    # mmengine's EMAHook averages discriminators too; its momentum is the weight of the new value
    state = made().model.state_dict()
    assert not [
        key for key in state if key.startswith("average.") and not key.startswith("average.generator.")
    ]
    assert made("b").model.average["generator"].decay_at(3, 0.0, 8) == 0.5


# -- surroundings --------------------------------------------------------------------------------------------


def test_trap_mixed_betas() -> None:
    # torch refuses (0, 0.99): one is an int, the other a float
    from toy_games import toy_game

    from toolbox.training.game.optimizers import PlayerOptimizers

    adam = dict(optimizer=dict(type="Adam", lr=1e-3, betas=[0, 0.99]))
    wrappers = PlayerOptimizers(dict(generator=adam, discriminator=adam))(toy_game())
    assert wrappers["generator"].optimizer.defaults["betas"] == (0.0, 0.99)


FAKE = """
import torch
try:
    torch.library.Library("torchvision", "IMPL").impl("nms", lambda *a: None, "Meta")
except RuntimeError:
    raise RuntimeError("operator torchvision::nms does not exist")
"""


def test_trap_mismatched_torchvision(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # a Runner's report of the environment imports torchvision, and one built for another torch raises
    # RuntimeError
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(FAKE)
    code = "from toolbox.compat import import_torchvision; print(import_torchvision().__file__)"
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    answer = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True
    )
    assert answer.stdout.strip() == str(tmp_path / "torchvision" / "__init__.py"), answer.stderr
    called: list[bool] = []
    monkeypatch.setattr(runner, "import_torchvision", lambda: called.append(True))
    made()
    assert called


def test_trap_global_random_state(made: Made, tmp_path: Path) -> None:
    # latents come from (seed, iteration): whatever draws in between disturbs nothing
    made("quiet").train()
    watched(made("noisy"), lambda runner, _: torch.manual_seed(time.monotonic_ns() % 1000)).train()
    one, other = (
        torch.load(tmp_path / name / "iter_5.pth", weights_only=True)["state_dict"]
        for name in ("quiet", "noisy")
    )
    assert all(torch.equal(one[key], other[key]) for key in one)
