"""``toolbox klish segment`` on stand-ins for the long arrows: order, state, kills, refusals, folders."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from toolbox.cli.main import main
from toolbox.config import ConfigError
from toolbox.data.base import DataError
from toolbox.data.drawn import DrawnPortraits
from toolbox.interfaces import Segmenter
from toolbox.registry import BuildError
from toolbox_klish.ufgs import arrows
from toolbox_klish.ufgs.labelled import give_folder
from toolbox_klish.ufgs.run import load_segmenter, segment_images
from toolbox_klish.ufgs.settings import pair_settings, read_config
from toolbox_klish.ufgs.state import State

ROOT = Path(__file__).parents[3]
CONFIGS = sorted((ROOT / "configs").glob("ufgs_*.py"))


class Bands(Segmenter):
    """Three clusters: thirds of the rows."""

    part_names = ("cluster 0", "cluster 1", "cluster 2")

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        rows = torch.arange(images.shape[2]) * 3 // images.shape[2]
        one_hot = torch.nn.functional.one_hot(rows, 3).T.float()
        return one_hot[None, :, :, None].expand(len(images), -1, -1, images.shape[3])


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The four long arrows, which say that they were taken, and keep their state as the true ones do."""
    taken: list[str] = []

    def arrow(name: str, found: Any) -> Any:
        def take(config: Any, before: Any, folder: Path, state: State) -> Any:
            if state.begin(name, dict(k=config.clusters.number)) is None:
                taken.append(name)
                state.finish(name, {})
            return found

        return take

    for name, stands_for, found in (
        ("gan", "trained_generator", dict(type="EmbeddedStyleGAN2")),
        ("clusters", "fitted_clusters", None),
        ("pairs", "made_pairs", Path("pairs")),
        ("segmenter", "trained_segmenter", Bands()),
    ):
        monkeypatch.setattr(arrows, stands_for, arrow(name, found))
    return taken


def embedded(**changes: Any) -> Any:
    options = {"matching.data.images": 4, "evaluation.data.images": 5, "pictures.images": 2, **changes}
    return read_config("klish/ufgs_embedded", options=options)


def write_masks(root: Path, images: int = 3, size: int = 16, parts: str = "wall\nface\n") -> Path:
    """Images whose lower half is a face."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    mask = np.zeros((size, size), dtype=np.uint8)
    mask[size // 2 :] = 1
    for i in range(images):
        picture = np.repeat(mask[..., None] * 100 + i, 3, axis=2)
        Image.fromarray(picture).save(root / "images" / f"{i}.png")
        Image.fromarray(mask).save(root / "masks" / f"{i}.png")
    (root / "part_names.txt").write_text(parts)
    return root


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_configs(path: Path) -> None:
    full, quick = read_config(path), read_config(path, quick=True)
    assert path.read_text().startswith('"""UFGS') and full.title
    small = quick.segmenter.model.networks.segmenter
    assert small.type == "UNet" and small.depth in (2, 3) and quick.segmenter.train_cfg.max_iters <= 100
    assert pair_settings(quick).images == 100
    if path.stem != "ufgs_embedded":
        assert full.segmenter.model.networks.segmenter.type == "DeepLabV3"
        assert (
            pair_settings(full).images == 50_000
            and full.segmenter.optim_wrapper.segmenter.optimizer.lr == 1e-3
        )
        (drop,) = full.segmenter.param_scheduler
        assert drop.milestones == [full.segmenter.train_cfg.max_iters // 2] and drop.gamma == 0.1


def test_all_arrows_once(short: list[str], tmp_path: Path) -> None:
    """A second call does nothing again; matching and measures follow the labelled images."""
    folder = segment_images(embedded(), None, tmp_path / "run")
    assert short == ["gan", "clusters", "pairs", "segmenter"]
    first = {name: (folder / name).read_bytes() for name in ("matching.json", "measures.json", "state.json")}
    segment_images(embedded(), None, folder)
    assert short == ["gan", "clusters", "pairs", "segmenter"]
    assert {name: (folder / name).read_bytes() for name in first} == first
    record = json.loads(first["matching.json"])
    assert len(record["assignment"]) == 3 and record["images"] == 4 and record["protocol"] == "paper"
    assert set(record["others"]) == {"paper", "official"}
    found = json.loads(first["measures.json"])
    assert found["images"] == 5 and 0 <= found["scores"]["miou-klish"] <= 1
    assert (folder / "pictures" / "segments.png").is_file()
    parts = load_segmenter(folder)
    assert parts.part_names == list(DrawnPortraits.part_names)
    assert parts.labels(torch.zeros(1, 3, 64, 64)).shape == (1, 64, 64)


def test_matching_is_done_anew_and_other_arrows_are_refused(short: list[str], tmp_path: Path) -> None:
    folder = segment_images(embedded(), None, tmp_path / "run")
    changed = embedded(**{"matching.protocol": "official"})
    segment_images(changed, None, folder)
    assert json.loads((folder / "matching.json").read_text())["protocol"] == "official"
    assert len(short) == 4
    with pytest.raises(ConfigError, match=r"was begun otherwise: gan: k: 20 -> 7. Give the settings"):
        segment_images(embedded(**{"clusters.number": 7}), None, folder)


def test_a_kill_at_any_file(short: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is being written when the process ends is not there; the same command ends as without."""
    from toolbox.runs import files
    from toolbox_klish.ufgs import run, state

    whole, again = segment_images(embedded(), None, tmp_path / "whole"), tmp_path / "again"
    for killed in ("matching.json", "measures.json"):

        def dies(text: str, path: Path, name: str = killed) -> None:
            if path.name == name:
                raise KeyboardInterrupt
            files.write_text(text, path)

        with monkeypatch.context() as patch:
            patch.setattr(run, "write_text", dies)
            patch.setattr(state, "write_text", dies)
            with pytest.raises(KeyboardInterrupt):
                segment_images(embedded(), None, again)
        assert not (again / killed).exists()
    segment_images(embedded(), None, again)
    for name in ("matching.json", "measures.json", "state.json", "pictures/segments.png"):
        assert (again / name).read_bytes() == (whole / name).read_bytes()
    assert short == ["gan", "clusters", "pairs", "segmenter"] * 2


def test_a_folder_with_masks_measures_itself(short: list[str], tmp_path: Path) -> None:
    """One part: the first images match, the others measure."""
    config = embedded(**{"matching.images": 2, "segmenter.model.networks.segmenter.image_size": 16})
    data = write_masks(tmp_path / "data")
    give_folder(config, data, None)
    folder = segment_images(config, data, tmp_path / "run")
    found = json.loads((folder / "measures.json").read_text())
    assert found["images"] == 1 and found["part_names"] == ["wall", "face"]
    assert found["scores"]["iou-klish"][1] == pytest.approx(
        1.0 if json.loads((folder / "matching.json").read_text())["assignment"][1] == 1 else 5 / 8
    )


def test_a_folder_without_masks(short: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (write_masks(tmp_path / "data") / "images").rename(tmp_path / "plain")
    config = read_config(
        "klish/ufgs_folder", quick=True, options={"segmenter.model.networks.segmenter.image_size": 16}
    )
    give_folder(config, tmp_path / "plain", None)
    folder = segment_images(config, tmp_path / "plain", tmp_path / "run")
    assert "no labelled images: the segmenter's parts are clusters" in capsys.readouterr().out
    assert not (folder / "measures.json").exists() and (folder / "pictures" / "segments.png").is_file()
    assert list(load_segmenter(folder).part_names) == list(Bands.part_names)


def test_masks_that_do_not_fit_are_known_before_anything_is_trained(short: list[str], tmp_path: Path) -> None:
    def refused(match: str, data: Path) -> None:
        config = embedded(**{"segmenter.model.networks.segmenter.image_size": 16})
        with pytest.raises((DataError, BuildError), match=match):  # noqa: PT012 (either may find it)
            give_folder(config, None, data)
            segment_images(config, None, tmp_path / "run")
        assert short == []

    refused(
        "mask of image 0 has part 1, but there are 1 part names", write_masks(tmp_path / "a", parts="wall\n")
    )
    refused("part_names.txt is missing", _without(write_masks(tmp_path / "b"), "part_names.txt"))
    refused("2.png has no mask", _without(write_masks(tmp_path / "c"), "masks/2.png"))
    odd = write_masks(tmp_path / "d")
    Image.new("L", (16, 8)).save(odd / "masks" / "1.png")
    refused("is 16x8 pixels, its picture 16x16", odd)
    refused("clusters are matched by all of its 3 images", write_masks(tmp_path / "e"))


def _without(root: Path, name: str) -> Path:
    (root / name).unlink()
    return root


def test_settings_that_make_no_sense() -> None:
    for options, message in (
        ({"matching.protocol": "papers"}, "matching.protocol='papers' is unknown - did you mean 'paper'"),
        ({"pairs.images": 0}, "pairs: images=0"),
        ({"clusters.config": "klish/klish_embeded"}, "did you mean 'klish/klish_embedded'"),
        ({"clusters.config": None}, r"generator=dict\(type=...\) needs clusters.config"),
        (
            {"segmenter.train_dataloader.dataset.source.type": "DrawnPortraits"},
            "must be dict.type='MaskShards'.",
        ),
        ({"matching.images": "many"}, "matching.images"),
    ):
        with pytest.raises((ConfigError, ValueError), match=message):
            embedded(**options)


def test_commands_say_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = ["--work-dir", str(tmp_path / "run")]
    assert main(["klish", "segment", "--config", "klish/klish_embedded", *run]) == 1
    assert "is not for 'toolbox klish segment': it is read by `toolbox klish fit" in capsys.readouterr().err
    assert main(["klish", "segment", *run]) == 1
    assert "there is no generator at hand: name the folder of images" in capsys.readouterr().err
    assert main(["klish", "segment", "--generator", "nothing.pkl", *run]) == 1
    assert "--generator nothing.pkl is not there" in capsys.readouterr().err


def test_clusters_of_another_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = SimpleNamespace(folder=Path("clusters"), record=dict(generator=dict(fingerprint="0" * 64)))
    monkeypatch.setattr(arrows.ClusterRun, "open", lambda *_: run)
    config = embedded(**{"clusters.run": "clusters"})
    with pytest.raises(ConfigError, match="clusters has clustered another generator"):
        arrows.fitted_clusters(config, dict(type="EmbeddedStyleGAN2"), tmp_path, State(tmp_path))


def test_what_follows_an_arrow_is_done_anew(tmp_path: Path) -> None:
    """A training may be gone on with: then its labels are matched and measured again."""
    state = State(tmp_path)
    for name in ("segmenter", "matching"):
        assert state.begin(name, dict(train_cfg=dict(max_iters=5))) is None
        state.finish(name, dict(found=name))
    again = State(tmp_path)
    assert again.begin("segmenter", dict(train_cfg=dict(max_iters=5))) == dict(found="segmenter")
    assert again.done("matching") == dict(found="matching")
    assert again.begin("segmenter", dict(train_cfg=dict(max_iters=9))) is None
    assert State(tmp_path).done("matching") is None


def test_a_torn_state(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"gan": {"settings"')
    with pytest.raises(ConfigError, match=r"state\.json is torn"):
        State(tmp_path)
