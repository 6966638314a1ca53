"""A segmenter as a one-player game: its loss, its tests during training, and what cannot be trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from toolbox.config import ConfigError, load_config
from toolbox.data.base import DataError, to_tensor
from toolbox.data.drawn import DrawnPortraits
from toolbox.data.embedded import EmbeddedFashion
from toolbox.interfaces import Condition, Sample
from toolbox.models.segmenter import UNet
from toolbox.registry import BuildError, build
from toolbox.testing import FakeTurn, check_objective, random_sample
from toolbox.training.hooks.segmentation import SegmentationTest, measure_segmenter
from toolbox.training.run.play import play

CONFIG = Path(__file__).parents[2] / "configs" / "segmenter_portraits.py"
TWO = ["ground", "thing"]


def small_batch(size: int = 8) -> Sample:
    masks = torch.arange(3 * size * size).view(3, size, size) % 2
    return Sample(random_sample(3, size).images, Condition(mask=masks))


def test_the_loss_is_the_mean_over_pixels() -> None:
    network, batch = UNet(TWO, channels=2, depth=1, image_size=None).eval(), small_batch()
    loss = build(dict(type="PixelCrossEntropy")).cross_entropy(
        FakeTurn("segmenter", dict(segmenter=network), batch)
    )
    each = F.cross_entropy(network(batch.images), batch.condition.mask, reduction="none")
    torch.testing.assert_close(loss, each.mean())


def test_it_keeps_the_contract_of_objectives() -> None:
    from toolbox.testing import small_networks

    networks = {**small_networks(), "segmenter": UNet(TWO, channels=2, depth=1, image_size=None)}
    check_objective(build(dict(type="PixelCrossEntropy")), networks, small_batch())


def test_a_batch_without_masks_or_of_another_size() -> None:
    loss, network = build(dict(type="PixelCrossEntropy")), UNet(TWO, channels=2, depth=1, image_size=None)
    with pytest.raises(
        ValueError, match=r"needs masks: give the training data dict\(type='Stream', masks=True"
    ):
        loss.cross_entropy(
            FakeTurn("segmenter", dict(segmenter=network), small_batch().replace(condition=Condition()))
        )
    other = small_batch().replace(condition=Condition(mask=torch.zeros(3, 4, 4, dtype=torch.int64)))
    with pytest.raises(ValueError, match=r"masks are \(4, 4\) and the logits of 'segmenter' \(8, 8\)"):
        loss.cross_entropy(FakeTurn("segmenter", dict(segmenter=network), other))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six iterations of the config's quick version."""
    folder = tmp_path_factory.mktemp("segmenter")
    options = {
        "train_cfg.max_iters": 6,
        "train_dataloader.batch_size": 4,
        "hooks.test.interval": 4,
        "hooks.test.data.images": 6,
        "hooks.checkpoints.interval": 4,
        "model.networks.segmenter.channels": 2,
        "hooks.progress": None,
    }
    config = load_config(CONFIG, quick=True, options=options)
    config.work_dir = str(folder)
    play(config)
    return folder


def test_a_run_is_tested_on_the_way_and_at_the_end(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [4] * 4 + [6] * 4
    data = "[Drawn portraits (embedded) test,6]"
    names = ("miou-klish", "miou-per-image", "miou-pooled", "pixel-accuracy")
    assert [line["metric"] for line in lines[:4]] == [f"segmentation-{name}{data}" for name in names]
    assert lines[0]["higher_is_better"]
    assert all(0 <= line["value"] <= 1 for line in lines)


@pytest.mark.slow
def test_resumed_it_measures_again_what_was_after_the_checkpoint(run: Path) -> None:
    from toolbox.loading import load_game

    before = (run / "metrics.jsonl").read_text()
    for name in ("iter_6.pth", "done.json"):
        (run / name).unlink()
    (run / "last_checkpoint").write_text("iter_4.pth")
    config = load_config(run / "config.py")
    config.work_dir = str(run)
    play(config, resume=True)
    assert (run / "metrics.jsonl").read_text() == before
    segmenter = load_game(run).network("segmenter", averaged=True)
    assert list(segmenter.part_names) == list(DrawnPortraits.part_names)


class Unsure(DrawnPortraits):
    """Portraits whose upper rows nobody has marked: they hold 255."""

    def mask(self, i: int) -> Any:
        mask = super().mask(i).copy()
        mask[:20] = 255
        return mask


def test_pixels_that_nobody_has_marked_are_not_counted() -> None:
    data = Unsure("test", images=3)
    segmenter = UNet(list(data.part_names), channels=2, depth=1, image_size=None).eval()
    with pytest.raises(DataError, match="the mask of image 0 has part 255"):
        measure_segmenter(segmenter, data)
    images = torch.stack([to_tensor(data.image(i)) for i in range(3)])
    truth = torch.stack([torch.from_numpy(data.mask(i)) for i in range(3)])[:, 20:].long()
    right = (segmenter.labels(images)[:, 20:] == truth).double().mean()
    found = measure_segmenter(segmenter, data, ignore=255)
    assert found["pixel-accuracy"] == pytest.approx(float(right))


def test_what_cannot_be_tested() -> None:
    hook = SegmentationTest(dict(type="DrawnPortraits"), network="segmentor")
    with pytest.raises(
        ConfigError, match="SegmentationTest tests the network 'segmentor', the game has segmenter"
    ):
        hook.check_config(load_config(CONFIG))
    with pytest.raises(ValueError, match="interval=0 must be a whole number of 1"):
        SegmentationTest(dict(type="DrawnPortraits"), interval=0)
    segmenter = UNet(TWO, channels=2, depth=1)
    with pytest.raises(
        ValueError,
        match=r"Drawn portraits \(embedded\) has the parts background, .*; the segmenter knows ground",
    ):
        measure_segmenter(segmenter, DrawnPortraits(images=2))
    with pytest.raises(DataError, match="has no masks"):
        measure_segmenter(segmenter, EmbeddedFashion("test"))
    with pytest.raises(ValueError, match="ignore=1 is the number of a part"):
        measure_segmenter(segmenter, DrawnPortraits(images=2), ignore=1)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(dict(type="DrawnPortraits", split="tets"), "split='tets'", marks=pytest.mark.slow),
        (dict(type="EmbeddedFashion"), "has no masks"),
    ],
)
def test_data_that_does_not_fit_costs_no_training(tmp_path: Path, data: dict[str, str], message: str) -> None:
    config = load_config(
        CONFIG, quick=True, options={"train_dataloader.batch_size": 2, "model.networks.segmenter.channels": 2}
    )
    config.work_dir, config.hooks.test.data = str(tmp_path), data
    with pytest.raises((DataError, BuildError), match=message):
        play(config)
    assert not list(tmp_path.rglob("*.pth"))
