"""Runs of a GauGAN: resumed, split over ranks or released they end the same, and paint what a mask says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.plugins.klish import tiny_uscs
from toolbox import testing
from toolbox.cli.main import main
from toolbox.config import load_config
from toolbox.data.drawn import PARTS, DrawnPortraits
from toolbox.data.stream import Stream
from toolbox.interfaces import Request
from toolbox.loading import export, load_run
from toolbox.pipeline import train
from toolbox.registry import build
from toolbox.training.evaluation.measure import evaluate_game
from toolbox.training.run.data_values import fill_from_data


class Runs:
    """A run, the same stopped half way and resumed, and a release of it."""

    def __init__(self, folder: Path) -> None:
        config = tiny_uscs.write_config(folder / "tiny_uscs_config.py")
        self.run, self.resumed = folder / "run", folder / "resumed"
        plain: dict[str, Any] = dict(evaluate=False, report=False)
        train(config, work_dir=self.run, **plain)
        train(config, work_dir=self.resumed, options={"train_cfg.max_iters": 2}, **plain)
        train(config, work_dir=self.resumed, options={"train_cfg.max_iters": 4}, resume=True, **plain)
        self.release = export(self.run, folder / "release.safetensors")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    return Runs(tmp_path_factory.mktemp("uscs"))


def mask_of(number: int) -> np.ndarray:
    return DrawnPortraits("test", image_size=32, images=number + 1).mask(number)


def write_mask(path: Path, mask: np.ndarray) -> Path:
    Image.fromarray(mask).save(path)
    return path


def painted(path: Path) -> bytes:
    """Of a mask that is given, and of the conditioner's own, to the last bit."""
    sampler = load_run(path, seed=3)
    asked = Request(mask=torch.from_numpy(mask_of(0)).long())
    images = [sampler(torch.arange(2), requests=asked).images, sampler(torch.arange(3)).images]
    return torch.cat(images).numpy().tobytes()


def test_run_resumed_run_and_release_paint_the_same(made: Runs) -> None:
    first, resumed, released = (painted(path) for path in (made.run, made.resumed, made.release))
    assert first == resumed == released


def test_resume_is_bit_for_bit(made: Runs) -> None:
    states = [torch.load(run / "iter_4.pth", weights_only=False) for run in (made.run, made.resumed)]
    one, other = (state["state_dict"] for state in states)
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def game() -> Any:
    """Images of fresh weights are nearly grey, and instance norm would amplify rounding: these are not."""
    made = build(fill_from_data(load_config_text()["model"], stream()), "model")
    for layer in made.network("generator").modules():
        if isinstance(layer, torch.nn.Conv2d) and not hasattr(layer, "weight_orig"):
            torch.nn.init.xavier_normal_(
                layer.weight, generator=torch.Generator().manual_seed(layer.weight.numel())
            )
    return made


def load_config_text() -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    exec(tiny_uscs.CONFIG, namespace)
    return namespace


def stream() -> Stream:
    return Stream(DrawnPortraits(image_size=32, images=12), masks=True)


def test_two_ranks_end_as_one() -> None:
    """BatchNorm too: its statistics are those of all ranks. One iteration: L1's sign turns on rounding."""
    testing.check_ranks(game, stream, iterations=1, batch_size=4, tolerance=1e-4)


def test_gradients_of_splits_are_those_of_conditions_row_by_row() -> None:
    """The masks of a split are those of its images."""
    config = load_config_text()["model"]
    config["phases"] = [dict(player="generator", accumulate=2), dict(player="discriminator", accumulate=2)]
    split = build(fill_from_data(config, stream()), "model")
    split.prepare(stream())
    batch = torch.utils.data.default_collate([stream()[i] for i in range(4)])
    sample = split.receive(batch)
    shared: dict[Any, Any] = {}
    from toolbox.interfaces import Rows

    turns = split._turns("generator", sample, 2, Rows(2, 4, 4), 0, shared)
    with split.only("generator", 0):
        fake = turns[0].fake
    assert torch.equal(fake.condition.mask, batch["mask"][2:])


def test_files_and_grids_of_masks(made: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = write_mask(tmp_path / "before.png", mask_of(0))
    after = write_mask(tmp_path / "after.png", mask_of(1))
    words = ["sample", str(made.run), "--mask", str(before)]
    assert main([*words, "--seeds", "0-1", "-o", str(tmp_path / "files")]) == 0
    assert main([*words, "--mask", str(after), "--columns", "2", "-o", str(tmp_path / "grid.png")]) == 0
    with Image.open(tmp_path / "files" / "seed000001.png") as opened:
        drawn = np.asarray(opened)
    image = load_run(made.run)(
        torch.arange(1, 2), requests=Request(mask=torch.from_numpy(mask_of(0)).long())
    ).images
    assert np.abs(drawn - ((image[0] + 1) * 127.5).permute(1, 2, 0).numpy()).max() <= 1
    other = ["sample", str(made.run), "--mask", str(after), "--n", "2", "-o", str(tmp_path / "files")]
    assert main(other) == 1  # another mask's images do not go into this folder
    assert "holds images of show=" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda mask: mask + 1, r"the mask has part 1\d; this run's parts are 0 to 10: background"),
        (lambda mask: mask[::2, ::2], "the mask is 16x16 pixels; this run's masks are 32x32"),
        (lambda mask: np.dstack([mask, mask, mask + 1]), "is no index mask"),
    ],
)
def test_masks_that_do_not_fit_are_one_line(
    change: Any, message: str, made: Runs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    file = write_mask(tmp_path / "mask.png", np.ascontiguousarray(change(np.maximum(mask_of(0), 10))))
    assert main(["sample", str(made.run), "--mask", str(file), "-o", str(tmp_path / "out.png")]) == 1
    said = capsys.readouterr().err.strip()
    assert re.search(message, said) and str(file) in said and len(said.splitlines()) == 1
    assert not (tmp_path / "out.png").exists()


def test_an_evaluation_asks_the_segmenter(made: Runs) -> None:
    settings = dict(
        n_fake=6,
        batch_size=3,
        metrics=dict(masks=dict(type="MaskAgreement", segmenter=dict(type="EmbeddedSegmenter"))),
    )
    values = evaluate_game(load_run(made.run).game, settings)
    assert set(values) == {"mask-agreement[EmbeddedSegmenter,6]", "mask-agreement[EmbeddedSegmenter,6].miou"}
    assert all(0 <= value <= 1 for value in values.values())
    assert len(PARTS) == 11


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_dataloader.dataset.masks": False}, "MaskConditions needs masks"),
        ({"model.conditioner.own_masks": False}, "compares fakes with the real images of the same masks"),
        ({"model.conditioner.part_names": ["a", "b"]}, "conditioner.part_names are a, b; Drawn portraits"),
        ({"model.networks.generator.n_parts": 4}, r"condition.mask has parts 0 to \d+, allowed is 0 to 3"),
        (
            {"model.networks.generator.image_size": 64},
            "model.networks.generator makes 64 x 64",
        ),
    ],
)
def test_what_does_not_fit_is_refused_before_training(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    from toolbox.training.run.prepare import prepare
    from toolbox.training.run.rehearse import rehearse

    config = tiny_uscs.write_config(tmp_path / "tiny_uscs_config.py")
    with pytest.raises(ValueError, match=message):
        rehearse(prepare(load_config(config, options=options)))
