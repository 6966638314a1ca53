"""What `toolbox train` is told beside a config: --data, --from, --device, --log."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mmengine.runner.runner
import numpy as np
import pytest
import tiny_run
import torch
from mmengine.registry import VISBACKENDS
from mmengine.visualization import BaseVisBackend

from toolbox.cli.main import main
from toolbox.config import ConfigError, load_config
from toolbox.data.base import DataError
from toolbox.data.given import look_at
from toolbox.data.pictures import encode_png
from toolbox.data.zipped import write_zip
from toolbox.models.stylegan2_embedded import EmbeddedStyleGAN2
from toolbox.pipeline import read_config
from toolbox.runs.kept import kept_path
from toolbox.training.run.prepare import prepare
from toolbox.training.run.rehearse import rehearse

EMBEDDED = "toolbox:models/embedded/stylegan2_portraits.safetensors"


def image(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (12, 10, 3), dtype=np.uint8)


def images(folder: Path, n: int) -> Path:
    """A folder of n images."""
    folder.mkdir(parents=True)
    for i in range(n):
        (folder / f"{i}.png").write_bytes(encode_png(image(i)))
    return folder


def classes(folder: Path, n: int = 6) -> Path:
    for name in ("cat", "big_dog"):
        images(folder / name, n)
    return folder


def zipped(file: Path, labelled: bool, split: bool = False) -> Path:
    names = [f"{i}.png" for i in range(8)]
    index: dict[str, Any] = {"labels": [[name, i % 2] for i, name in enumerate(names)] if labelled else None}
    if split:
        index["split"] = dict(names=["train", "test"], values=[0] * 6 + [1] * 2)
    write_zip(file, [(name, image(i)) for i, name in enumerate(names)], index)
    return file


# -- what lies there -----------------------------------------------------------------------------------------


def test_what_is_there_is_recognised(tmp_path: Path) -> None:
    flat = look_at(images(tmp_path / "flat", 3))
    assert (flat.train["type"], flat.test, flat.classes) == ("ZippedImages", None, ())
    by_class = look_at(classes(tmp_path / "by_class"))
    assert (by_class.train["type"], by_class.classes) == ("ImageFolder", ["big dog", "cat"])
    parts = classes(tmp_path / "parts" / "train").parent
    classes(parts / "val")
    assert look_at(parts).test == dict(type="ImageFolder", root=str(parts), split="test")
    images(tmp_path / "flat_parts" / "train", 2)
    test = images(tmp_path / "flat_parts" / "test", 2)
    assert look_at(tmp_path / "flat_parts").test == dict(type="ZippedImages", path=str(test))
    assert look_at(zipped(tmp_path / "one.zip", labelled=False)).classes == ()
    both = look_at(zipped(tmp_path / "two.zip", labelled=True, split=True))
    assert len(both.classes) == 2 and both.train["split"] == "train" and both.test is not None


def test_masks_are_taken_where_they_are_wanted(tmp_path: Path) -> None:
    images(tmp_path / "set" / "images", 2)
    images(tmp_path / "set" / "masks", 2)
    assert look_at(tmp_path / "set").train["path"] == str(tmp_path / "set" / "images")
    with pytest.raises(DataError, match=r"part_names.txt is missing: write the name of each part"):
        look_at(tmp_path / "set", masks=True)
    (tmp_path / "set" / "part_names.txt").write_text("background\nhair\n")
    assert look_at(tmp_path / "set", masks=True).train["part_names"] == ["background", "hair"]


def test_what_is_of_no_use_is_said_in_a_line(tmp_path: Path) -> None:
    images(tmp_path / "faces", 2)
    images(tmp_path / "faces" / "more", 2)
    (tmp_path / "text.zip").write_text("no zip")
    (tmp_path / "empty").mkdir()
    for name, words in (
        ("face", "does not exist - did you mean 'faces'"),
        ("faces", "holds images and, in 'more', further ones"),
        ("text.zip", "neither a folder nor a zip"),
        ("empty", "no sub-folders"),
    ):
        with pytest.raises(DataError, match=words):
            look_at(tmp_path / name)


# -- --data --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quick", [True, False])
def test_training_and_evaluation_take_the_data_at_the_networks_size(tmp_path: Path, quick: bool) -> None:
    folder = classes(tmp_path / "mine")
    config = read_config("toolbox/biggan_cifar", quick=quick, data=folder)
    expected = dict(type="ImageFolder", root=str(folder), image_size=32)
    assert config.train_dataloader.dataset.source == expected == config.evaluation.real
    assert config.evaluation.test is None
    assert prepare(config)[-1].data["classes"] == ["big dog", "cat"]


def test_an_unconditional_config_takes_a_flat_folder_and_a_conditional_one_says_what_it_needs(
    tmp_path: Path,
) -> None:
    flat = images(tmp_path / "flat", 3)
    (stage,) = prepare(read_config("toolbox/stylegan2_ada_auto", quick=True, data=flat))
    assert stage.loader.dataset[0]["images"].shape == (3, 32, 32)
    for data in (flat, zipped(tmp_path / "no_labels.zip", labelled=False)):
        with pytest.raises(
            ConfigError, match=r"conditional and needs classes: a folder .*dataset.json has labels"
        ):
            read_config("toolbox/stylegan2_ada_auto_classes", quick=True, data=data)
    labelled = zipped(tmp_path / "labels.zip", labelled=True)
    assert prepare(read_config("toolbox/biggan_cifar", quick=True, data=labelled))[0].data["n"] == 8


def test_a_split_that_does_not_fit_becomes_a_share(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = classes(tmp_path / "mine", 20)
    stages = prepare(read_config("lcp/lcp_cifar", quick=True, data=folder))
    assert [stage.data["labelled"] for stage in stages] == [4, 4]
    assert (
        "fewer than labelled_per_class=40: 10% of each class's images keep their labels"
        in capsys.readouterr().out
    )
    fits = {"train_dataloader.dataset.split.labelled_per_class": 15}
    assert prepare(read_config("lcp/lcp_cifar", True, fits, data=folder))[0].data["labelled"] == 30


def test_a_folder_is_looked_through_first(tmp_path: Path) -> None:
    folder = classes(tmp_path / "mine")
    (folder / "cat" / "torn.png").write_bytes(encode_png(image(0))[:60])
    stages = prepare(read_config("toolbox/biggan_cifar", quick=True, data=folder))
    with pytest.raises(DataError, match=r"1 images cannot be used, the first is: .*torn.png"):
        rehearse(stages)


def test_what_data_cannot_replace_is_refused(tmp_path: Path) -> None:
    flat = images(tmp_path / "flat", 3)
    with pytest.raises(ConfigError, match="CaptionedImages of this config has no source"):
        read_config("toolbox/clip_embedded", data=flat)
    with pytest.raises(DataError, match="has no masks, which the config trains on"):
        read_config("toolbox/segmenter_portraits", data=flat)


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_a_preset_reads_what_is_there(tmp_path: Path, kind: str) -> None:
    data = zipped(tmp_path / "x.zip", labelled=True) if kind == "zip" else images(tmp_path / "x", 2)
    out = tmp_path / "mine.py"
    assert main(["preset", "auto", "--image-size", "16", "--data", str(data), "-o", str(out)]) == 0
    (stage,) = prepare(read_config(out))
    assert stage.loader.dataset.source.image(0).shape == (16, 16, 3)
    (quick,) = prepare(read_config(out, quick=True))
    sizes = {quick.loader.dataset.source.image_size, quick.model["networks"]["generator"]["image_size"]}
    assert sizes == {32} and len(quick.loader.dataset.source) == len(stage.loader.dataset.source)
    assert main(["preset", "auto", "--conditional", "--data", str(data), "-o", str(out), "--force"]) == int(
        kind == "folder"
    )


# -- --from --------------------------------------------------------------------------------------------------


def test_from_a_file_come_architecture_and_weights_and_the_rest_is_the_configs(tmp_path: Path) -> None:
    data = images(tmp_path / "flat", 3)
    options = {"model.networks.generator.style_mixing_prob": 0.5}
    config = read_config("toolbox/stylegan2_ada_auto", True, options, data=data, start=EMBEDDED)
    (stage,) = prepare(config)
    game = stage.build_game()
    published = EmbeddedStyleGAN2()
    for found in (game.network("generator"), game.network("generator", averaged=True)):
        assert all(torch.equal(v, found.state_dict()[k]) for k, v in published.state_dict().items())
    assert all(parameter.requires_grad for parameter in game.network("generator").parameters())
    assert game.network("generator").style_mixing_prob == 0.5
    assert game.network("discriminator").image_size == stage.loader.dataset.source.image_size == 64
    assert config.optim_wrapper.generator.optimizer.lr == 0.002


def test_what_does_not_fit_the_file_is_refused(
    tmp_path: Path, config_file: Path, trained: Callable[..., Path]
) -> None:
    with pytest.raises(
        ConfigError, match=r"images of 64 pixels, the data have 32: set .*image_size=64, or .*--data"
    ):
        read_config("toolbox/stylegan2_ada_auto", quick=True, start=EMBEDDED)
    with pytest.raises(ConfigError, match="its generator is unconditional, this config is conditional"):
        read_config("toolbox/biggan_cifar", quick=True, start=EMBEDDED)
    with pytest.raises(ConfigError, match="has no generator that could start"):
        read_config("toolbox/segmenter_portraits", start=EMBEDDED)
    run = trained(options={"train_cfg.max_iters": 1})
    with pytest.raises(ConfigError, match="knows 10 classes, the data and the config ask for 2"):
        read_config(config_file, data=classes(tmp_path / "mine"), start=str(run))
    config = read_config(config_file, start=str(run))
    assert config.model.networks.discriminator.weights == config.model.networks.generator.weights == str(run)


@pytest.mark.slow
def test_the_example_of_the_page(tmp_path: Path) -> None:
    """docs/finetuning.md, shortened to two iterations."""
    words = [
        "train",
        "toolbox/stylegan2_ada_auto",
        "--from",
        EMBEDDED,
        "--quick",
        "--work-dir",
        str(tmp_path / "run"),
    ]
    words += ["--data", str(images(tmp_path / "faces", 20)), "--cfg-options", "train_cfg.max_iters=2"]
    assert main(words) == 0
    assert (tmp_path / "run" / "report.html").is_file()


# -- --device ------------------------------------------------------------------------------------------------


def test_a_run_stays_on_the_device_that_is_named(
    trained: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """mmengine would take the GPU wherever there is one; here it only believes so."""
    monkeypatch.setattr(mmengine.runner.runner, "get_device", lambda: "cuda:7")
    folder = trained(options={"train_cfg.max_iters": 1}, device="cpu")
    assert load_config(kept_path(folder)).device == "cpu"


def test_a_device_that_is_not_there_is_named(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(config_file), "--device", "cuda:99"]) == 1
    assert "device='cuda:99' cannot be used here" in capsys.readouterr().err
    with pytest.raises(ConfigError, match="device='gpu' cannot be used here: Expected one of cpu"):
        read_config(config_file, device="gpu")


# -- --log ---------------------------------------------------------------------------------------------------


class NotedVisBackend(BaseVisBackend):
    """Notes what it is given, a line each."""

    def _note(self, *values: Any) -> None:
        Path(self._save_dir).mkdir(parents=True, exist_ok=True)
        with open(Path(self._save_dir) / "noted.jsonl", "a") as file:
            file.write(json.dumps(values) + "\n")

    experiment = property(lambda self: self)

    def _init_env(self) -> None: ...

    def add_scalars(self, scalar_dict: Any, step: int = 0, file_path: Any = None, **more: Any) -> None:
        self._note("scalars", step, scalar_dict)

    def add_image(self, name: str, image: Any, step: int = 0, **more: Any) -> None:
        self._note("image", step, [name, *image.shape])

    def add_config(self, config: Any, **more: Any) -> None: ...
    def add_scalar(self, *values: Any, **more: Any) -> None: ...


MEASURED = """
evaluation = dict(
    real=dict(type='EmbeddedFashion', image_size=8), n_fake=20, batch_size=10,
    extractor=dict(type='EmbeddedClipFeatures'), metrics=dict(precision_recall=dict(type='PrecisionRecall')))
hooks['samples'] = dict(type='SampleGrid', interval=3, columns=2)
hooks['evaluation'] = dict(type='Evaluation', interval=3)
"""


@pytest.fixture
def logged(tmp_path: Path) -> Callable[..., Path]:
    """Trains the tiny config, measured and drawn, on a folder: the run's folder."""
    file = tiny_run.write_config(tmp_path / "tiny.py")
    text = file.read_text().replace("norm=True", "norm=True, bounded=True")
    file.write_text(text.replace("n_conditions=10", "n_conditions='data:n_conditions'") + MEASURED)
    classes(tmp_path / "mine", 12)

    def run(*words: str) -> Path:
        always = ["--work-dir", str(tmp_path / "run"), "--data", str(tmp_path / "mine")]
        assert main(["train", str(file), *always, *words]) == 0
        return tmp_path / "run"

    return run


def scalars(folder: Path) -> dict[str, list[int]]:
    """Iterations by name, as scalars.jsonl and metrics.jsonl have them."""
    found: dict[str, list[int]] = {}
    for line in (folder / "scalars.jsonl").read_text().splitlines():
        record = json.loads(line)
        for name in set(record) - {"iteration", "kimg"}:
            found.setdefault(name, []).append(record["iteration"])
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        for part in record["values"]:
            found.setdefault(f"{record['metric']}.{part}", []).append(record["iteration"])
    return found


def sorted_steps(found: dict[str, list[int]]) -> dict[str, list[int]]:
    return {name: sorted(steps) for name, steps in found.items()}


def test_a_back_end_gets_losses_metrics_and_grids_and_a_resumed_run_goes_on_there(
    logged: Callable[..., Path],
) -> None:
    """Also one that the config names itself."""
    VISBACKENDS.register_module(module=NotedVisBackend, force=True)
    visualizer = "visualizer={'vis_backends': [{'type': 'NotedVisBackend'}]}"
    folder = logged("--cfg-options", visualizer, "train_cfg.max_iters=3")
    logged("--resume", "--cfg-options", visualizer, "train_cfg.max_iters=5")
    noted = [json.loads(line) for line in (folder / "vis_data" / "noted.jsonl").read_text().splitlines()]
    found: dict[str, list[int]] = {}
    for kind, step, values in noted:
        for name in values if kind == "scalars" else []:
            found.setdefault(name, []).append(step)
    expected = scalars(folder)
    assert expected["precision-recall[toy-clip,20].recall"] == [3, 3, 5]
    assert {name: sorted(steps) for name, steps in found.items()} == {
        n: sorted(s) for n, s in expected.items()
    }
    grids = [(step, values[0]) for kind, step, values in noted if kind == "image"]
    assert grids == [(3, "samples"), (5, "samples")]


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="needs tensorboard")
def test_tensorboard_reads_it_back(logged: Callable[..., Path]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = logged("--log", "tensorboard", "--cfg-options", "train_cfg.max_iters=3")
    events = EventAccumulator(str(folder / "vis_data")).Reload()
    read = {name: sorted(event.step for event in events.Scalars(name)) for name in events.Tags()["scalars"]}
    assert read == sorted_steps(scalars(folder))
    assert [event.step for event in events.Images("samples")] == [3]


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_a_package_that_is_missing_is_named(
    config_file: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda wanted: None)
    assert main(["train", str(config_file), "--log", name]) == 1
    assert f"needs the package {name}: pip install {name}" in capsys.readouterr().err
