"""Runs of IPL: what moves, what stands still, and that stopping, ranks and releases change nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.plugins.ipl.tiny_ipl import write_config
from tests.training.pairs import run_pair
from toolbox.cli.main import main
from toolbox.loading import export, load_generator, load_run, load_sampler
from toolbox.models.clip import Clip
from toolbox.models.from_files import open_weights
from toolbox.pipeline import reproduce, train
from toolbox.training.game.game import Game
from toolbox_ipl.arrows import directions_of

STAGE = "stages/prompts"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("config"))


@pytest.fixture(scope="module")
def whole(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(config, work_dir=tmp_path_factory.mktemp("runs") / "whole", report=False)


def state_of(folder: Path, iteration: int = 4) -> dict[str, Tensor]:
    contents: dict[str, Any] = torch.load(folder / f"iter_{iteration}.pth", weights_only=True)
    return contents["state_dict"]


def source_of(config: Path) -> dict[str, Tensor]:
    return open_weights(config.parent / "style.safetensors")[0].state_dict()


def largest_difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Relative to the largest number of each tensor: the mapper's weights are hundreds."""
    pairs = [(one[key].double(), other[key].double()) for key in one]
    return max(float((a - b).abs().max() / a.abs().max().clamp(min=1)) for a, b in pairs)


def moved(before: dict[str, Tensor], after: dict[str, Tensor], prefix: str) -> set[str]:
    return {name for name, value in before.items() if not torch.equal(value, after[prefix + name])}


def test_only_chosen_layers_move_in_a_step(config: Path, tmp_path: Path) -> None:
    options = {"train_cfg.max_iters": 1, "before.prompts.train_cfg.max_iters": 1}
    run = train(config, work_dir=tmp_path, report=False, options=options)
    state, source = state_of(run, 1), source_of(config)
    changed = moved(source, state, "networks.generator.")
    layers = {name.rsplit(".", 2 if "affine" in name else 1)[0] for name in changed}
    assert len(layers) == 3 and all(".conv" in layer for layer in layers), changed
    averaged = [name for name in source if name in changed]
    for name in averaged:  # 0.99 of the source's, 0.01 of what it became
        wanted = 0.99 * source[name] + 0.01 * state[f"networks.generator.{name}"]
        torch.testing.assert_close(state[f"average.generator.module.{name}"], wanted)


def test_mapping_and_colours_and_mapper_stand_still(config: Path, whole: Path) -> None:
    state, source = state_of(whole), source_of(config)
    changed = moved(source, state, "networks.generator.")
    assert changed and not any(part in name for name in changed for part in ("mapping", "torgb", "const"))
    first = state_of(whole / STAGE, 3)
    mapper = {k.removeprefix("networks.mapper."): v for k, v in first.items() if "networks.mapper." in k}
    assert mapper and not moved(mapper, state, "networks.mapper.")
    assert not any(key.startswith(("networks.source.", "networks.clip.")) for key in state), "not copied"


def test_the_mapper_alone_learns_in_the_first_stage(whole: Path) -> None:
    start, end = (state_of(whole / STAGE, iteration) for iteration in (2, 3))
    changed = {
        name for name in end if name.startswith("networks.") and not torch.equal(start[name], end[name])
    }
    assert changed and all(name.startswith("networks.mapper.layers.") for name in changed)


def test_texts_are_encoded_once(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The 79 templates and the labels in sentences: in the first iteration of a stage, by its own CLIP."""
    encode, step = Clip.encode_texts, Game.train_step
    seen: list[tuple[Clip, tuple[str, ...], int]] = []
    played: list[int] = []

    def counted(self: Clip, texts: str | Sequence[str], normalize: bool = False) -> Tensor:
        if played:
            seen.append((self, (texts,) if isinstance(texts, str) else tuple(texts), played[-1]))
        return encode(self, texts, normalize)

    def noted(self: Game, *arguments: Any, **named: Any) -> Any:
        played.append(int(self.iteration))
        return step(self, *arguments, **named)

    monkeypatch.setattr(Clip, "encode_texts", counted)
    monkeypatch.setattr(Game, "train_step", noted)
    short = {"train_cfg.max_iters": 2, "before.prompts.train_cfg.max_iters": 2}
    train(config, work_dir=tmp_path, report=False, options=short)
    assert max(played) == 1 and {iteration for _, _, iteration in seen} == {0}
    texts = [(id(clip), text) for clip, text, _ in seen]
    assert len(set(texts)) == len(texts), "twice by one CLIP"
    assert {len(text) for _, text in texts} == {1, 79}
    assert ("a photo of a disney.",) in {text for _, text in texts}


class CutError(Exception):
    """The power went."""


def test_cut_in_each_stage_and_resumed(
    config: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Game.train_step
    cuts = ["mapper", "generator"]  # who is about to move for the third time

    def until_cut(self: Game, *arguments: Any, **named: Any) -> Any:
        if cuts and cuts[0] in self.players and int(self.iteration) == 2:
            cuts.pop(0)
            raise CutError
        return step(self, *arguments, **named)

    monkeypatch.setattr(Game, "train_step", until_cut)
    for resume in (False, True):
        with pytest.raises(CutError):
            train(config, work_dir=tmp_path, report=False, resume=resume)
    assert (tmp_path / "iter_2.pth").exists() and not (tmp_path / "iter_4.pth").exists()
    train(config, work_dir=tmp_path, report=False, resume=True)
    one, other = state_of(whole), state_of(tmp_path)
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def play(config: str, folder: str) -> None:
    train(config, work_dir=folder, report=False)


def test_two_processes_are_one(config: Path, whole: Path, tmp_path: Path) -> None:
    run_pair(play, str(config), str(tmp_path))
    assert largest_difference(state_of(whole / STAGE, 3), state_of(tmp_path / STAGE, 3)) < 1e-5
    assert largest_difference(state_of(whole), state_of(tmp_path)) < 1e-5


def test_a_release_needs_neither_clip_nor_mapper_and_is_a_source(
    config: Path, whole: Path, tmp_path: Path
) -> None:
    file = export(whole, tmp_path / "adapted.safetensors")
    for name in ("style", "clip"):
        source = config.parent / f"{name}.safetensors"
        source.rename(source.with_suffix(".away"))
    try:
        images = load_generator(file).sample(2, seed=0)
        assert torch.equal(images, load_run(file, seed=0).generator.sample(2, seed=0))
    finally:
        for name in ("style", "clip"):
            (config.parent / f"{name}.away").rename(config.parent / f"{name}.safetensors")
    adapted = dict(_delete_=True, weights=str(file))
    options = {
        "before.prompts.model.networks.source": adapted,
        "model.networks.source": adapted,
        "model.networks.generator": dict(adapted, freeze_layers=["mapping."]),
        "train_cfg.max_iters": 1,
    }
    again = train(config, work_dir=tmp_path / "again", report=False, options=options)
    own = {k.removeprefix("networks.generator."): v for k, v in open_weights(file)[0].state_dict().items()}
    changed = moved(own, state_of(again, 1), "networks.generator.")
    assert changed and len(changed) < len(own), "it started from the adapted one"


@pytest.mark.slow  # as tests/training/test_no_images.py does
def test_it_is_reproduced(config: Path, tmp_path: Path) -> None:
    options = {"deterministic": True, "train_cfg.max_iters": 2}
    train(config, work_dir=tmp_path / "run", options=options, report=False)
    assert not reproduce(tmp_path / "run").differing


def test_directions_of_a_run_as_arrows(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The numbers are those of the objective's own cosines; a run without directions is refused."""
    found = directions_of(whole, n=6, seed=3)
    assert found.images.shape == found.texts.shape and len(found.images) == 6
    for directions in (found.images, found.texts):
        assert torch.allclose(directions.norm(dim=1), torch.ones(6), atol=1e-5)
    values = found.values()
    cosines = found.images @ found.images.T
    assert values["spread of images"] == pytest.approx(1 - float(cosines.sum() - 6) / 30, abs=1e-5)
    assert values["agreement"] == pytest.approx(float((found.images * found.texts).sum(1).mean()), abs=1e-5)
    images, texts, shares = found.plane()
    assert images.shape == texts.shape == (6, 2) and 0 < float(shares.sum()) <= 1 + 1e-9
    assert main(["ipl", "directions", str(whole), "-o", str(tmp_path / "arrows.png"), "--n", "6"]) == 0
    assert "spread of texts: " in capsys.readouterr().out and (tmp_path / "arrows.png").stat().st_size > 5000


def test_the_source_is_a_row_of_a_comparison(config: Path, whole: Path, tmp_path: Path) -> None:
    """RUN:source shows what the source's own file shows; another name is refused."""
    options = ["-o", str(tmp_path / "rows.png"), "--columns", "2"]
    assert main(["compare", f"source={whole}:source", f"adapted={whole}", *options]) == 0
    rows = json.loads((tmp_path / "rows.json").read_text())["runs"]
    assert list(rows) == ["source", "adapted"] and rows["source"]["path"] == f"{whole}:source"
    assert main(["compare", f"{whole}:sauce", *options]) == 1
    numbers = torch.arange(2)
    shown = load_sampler(whole, generator="source")(numbers).images
    alone = load_sampler(config.parent / "style.safetensors")(numbers).images
    assert torch.equal(shown, alone) and not torch.equal(shown, load_sampler(whole)(numbers).images)
