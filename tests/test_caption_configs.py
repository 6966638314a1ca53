"""Configs for CUB and COCO: published sizes, data of every stage, and a user's folder under --quick."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.data_readers.caption_makers import mini_birds, mini_coco
from toolbox.config import ConfigError, load_config
from toolbox.registry import build
from toolbox.training.evaluation.rehearsal import check_measurable
from toolbox.training.run.prepare import prepare
from toolbox.training.run.rehearse import rehearse
from toolbox.training.stages import MAIN, stage_config

CONFIGS = sorted(
    path for end in ("cub", "coco") for path in (Path(__file__).parents[1] / "configs").glob(f"*_{end}.py")
)
#: Millions of numbers that train, as the authors' networks have them.
SIZES = {
    "attngan_cub": dict(generator=7.08, discriminator64=6.31, discriminator128=19.42, discriminator256=71.86),
    "attngan_coco": dict(
        generator=13.81, discriminator64=13.30, discriminator128=42.80, discriminator256=160.77
    ),
    "dmgan_cub": dict(generator=21.45, discriminator64=1.88, discriminator128=5.16, discriminator256=18.26),
    "dmgan_coco": dict(generator=22.34, discriminator64=1.88, discriminator128=5.16, discriminator256=18.26),
    "ssagan_cub": dict(generator=29.49),
    "galip_coco": dict(generator=51.83),
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return dict(
        cub=mini_birds(tmp_path_factory.mktemp("birds")), coco=mini_coco(tmp_path_factory.mktemp("coco"))
    )


def config_of(path: Path, folders: dict[str, Path], quick: bool) -> Any:
    """The config on the small folder of its data."""
    root = str(folders[path.stem.rpartition("_")[2]])
    options = {"train_dataloader.dataset.source.root": root}
    if not path.stem.startswith("damsm"):
        options["evaluation.real.root"] = root
    return load_config(path, quick=quick, options=options)


@pytest.mark.parametrize("quick", [False, True], ids=["full", "quick"])
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_stage_reads_the_folder_that_is_there(
    path: Path, folders: dict[str, Path], quick: bool
) -> None:
    config = config_of(path, folders, quick)
    for name in [*config.get("stages", ()), MAIN]:
        stage = stage_config(config, name)
        data = build(stage.train_dataloader.dataset, "dataset")
        item = data[1]
        assert not data.source.embedded and not data.source.notice
        assert ("partner" in item) == path.stem.startswith("scl_")
        networks = {key: own for key, own in stage.model.networks.items() if "image_size" in own}
        for own in networks.values():
            size = own["image_size"]
            assert item["images"].shape[1] == size or f"images{size}" in item
        assert item["text"].shape == (data.max_words,)
    if config.get("evaluation"):
        real = build(config.evaluation.real, "dataset")
        assert real.image_size == item["images"].shape[1] and real.split == "test"


@pytest.mark.parametrize("name", SIZES)
def test_networks_are_as_large_as_published(name: str) -> None:
    networks = load_config(CONFIGS[0].parent / f"{name}.py").model.networks
    lent: dict[str, Any] = {}
    with torch.device("meta"):
        if "clip" in networks:
            lent = dict(clip=build(dict(networks.clip, weights=None)))
        for part, millions in SIZES[name].items():
            own = {key: value for key, value in networks[part].items() if key != "uses"}
            made = build(own, None, part, **lent)
            count = sum(parameter.numel() for parameter in made.parameters() if parameter.requires_grad)
            assert round(count / 1e6, 2) == millions, part


def test_a_run_on_a_small_folder_of_coco_is_rehearsed(folders: dict[str, Path], tmp_path: Path) -> None:
    """Where its test split is not there, that is said before the run."""
    path = CONFIGS[0].parent / "scl_ssagan_coco.py"
    config = config_of(path, folders, quick=True)
    config.work_dir = str(tmp_path)
    stages = rehearse(prepare(config), measured=False)
    assert [one.stage.name for one in stages] == ["damsm", "main"]
    assert all(one.trial.played for one in stages)
    config.evaluation.real.root, game = str(tmp_path / "none"), stages[1].trial.game
    assert check_measurable(game, config.evaluation)[0].startswith(f"{tmp_path / 'none'} is missing: using")
    with pytest.raises(ConfigError, match=r"evaluation.captions: .*known word.*none is missing: using Noto"):
        check_measurable(game, config.evaluation, played=True)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_species_are_no_negatives_and_images_of_coco_are(path: Path) -> None:
    config = load_config(path)
    models = [config.model, *(own.model for own in config.get("before", {}).values())]
    terms = [
        term for model in models for term in model.objectives.values() if term["type"].startswith("Damsm")
    ]
    assert bool(terms) != ("galip" in path.stem)
    assert all(term.get("class_masking", True) == path.stem.endswith("cub") for term in terms)
