"""Every training config in the repository: it loads, its game is consistent, its quick version is played.

One iteration of one of each family by default, of all and to the end in the slow suite. What clustering
configs say has tests of its own: tests/plugins/klish/test_klish_configs.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from mmengine import Config

from tests.opened_once import opened_once
from toolbox.cli.main import main
from toolbox.config import ConfigError, load_config
from toolbox.data.embedded import EmbeddedEmoji, EmbeddedFashion
from toolbox.data.wordings import Wordings
from toolbox.pipeline import train
from toolbox.training.evaluation.records import read_records
from toolbox.training.explain.iteration import explain
from toolbox.training.explain.summary import summary
from toolbox.training.run.prepare import prepare
from toolbox.training.run.rehearse import rehearse

ALL = sorted((Path(__file__).parents[1] / "configs").glob("*.py"))
CONFIGS = [path for path in ALL if not path.name.startswith(("klish_", "ufgs_"))]
CLUSTERINGS = [path for path in ALL if path.name.startswith("klish_")]
PLAYED = (
    *("biggan_cifar", "pggan_classes", "stylegan_classes", "stylegan2_ada_auto", "stylegan2_ada_cifar"),
    *("lcp_cifar", "lcp_cifar_labels_only", "lcp_cifar_pseudo", "lcp_folder", "lcp_stylegan2_cifar"),
    *("attngan_emoji", "damsm_emoji", "dmgan_emoji", "galip_emoji", "ssagan_emoji", "ssagan_finetune_emoji"),
    *("scl_galip_coco", "scl_galip_tuned_emoji", "ipl_portraits", "nada_portraits"),
    *("clip_embedded", "clip_embedded_vit", "diffae_portraits", "segmenter_portraits", "lse_embedded"),
    "uscs_embedded",
)
OFTEN = [path if path.stem in PLAYED else pytest.param(path, marks=pytest.mark.slow) for path in CONFIGS]


def stem(path: Path) -> str:
    return path.stem


@pytest.mark.parametrize("path", CONFIGS, ids=stem)
def test_full_size_is_a_consistent_game(path: Path) -> None:
    """Players, phases and objectives fit together; every config has a first line that says what it is."""
    config = load_config(path)
    if config.get("files"):  # the architecture is that of a file
        with pytest.raises(ConfigError, match=r"missing: (weights|runs)/"):
            explain(config)
    assert "minimise" in explain(load_config(path, quick=True) if config.get("files") else config)
    assert path.read_text().startswith('"""')
    assert config.title


def shrunk(path: Path, folder: Path) -> Config:
    """The quick version on fewer images; lcp_folder.py is given a folder of its own."""
    config = load_config(path, quick=True)
    dataset = config.train_dataloader.dataset or {}  # None: a game without images
    parts = [dataset.get("source"), *(config.get("evaluation") or {}).values()]
    parts += [hook.get("data") for hook in config.hooks.values() if hook]
    for part in parts:
        if isinstance(part, dict) and part.get("type") == "DrawnPortraits":
            part.images = 60
        elif isinstance(part, dict) and part.get("type") == "ImageFolder":
            part.root = str(folder)
    clusterer = (config.model.get("conditioner") or {}).get("clusterer") or {}
    if clusterer.get("type") == "AHC":
        clusterer.classifier_steps = 20
    return config


def class_folders(root: Path) -> Path:
    """Twelve random pictures in each of three folders."""
    import numpy as np
    from PIL import Image

    for name in ("apple", "pear", "plum"):
        (root / name).mkdir(parents=True)
        for i in range(12):
            pixels = np.random.default_rng(i).integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def data_opened_once() -> Iterator[None]:
    with opened_once(EmbeddedFashion, EmbeddedEmoji, Wordings):
        yield


@pytest.mark.usefixtures("data_opened_once")
@pytest.mark.parametrize("path", OFTEN, ids=stem)
def test_quick_version_plays_an_iteration(path: Path, tmp_path: Path) -> None:
    """Networks, data, conditioner and evaluation are built, compared, and every phase is played once."""
    config = shrunk(path, class_folders(tmp_path / "images"))
    if path.stem == "lcp_folder":
        config.train_dataloader.dataset.split.labelled_fraction = 0.5
    stages = rehearse(prepare(config))
    assert [one.stage.name for one in stages] == [*config.get("stages", ()), "main"]
    assert all(one.trial.played for one in stages)


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=stem)
def test_quick_version_is_played_to_its_end(path: Path, tmp_path: Path) -> None:
    """Two iterations of every stage, its own evaluation of fewer images, pictures and the report."""
    config = shrunk(path, class_folders(tmp_path / "images"))
    if path.stem == "lcp_folder":
        config.train_dataloader.dataset.split.labelled_fraction = 0.5
    for own in [config, *(config.before[name] for name in config.get("stages", ()))]:
        own.train_cfg.max_iters = 2
    measured = {}
    if config.get("evaluation"):
        config.evaluation.update(n_fake=300, bn="running", cache_dir=None)
        measured = {name: metric for name, metric in config.evaluation.metrics.items() if metric is not None}
    folder = train(config, work_dir=tmp_path / "run")
    assert (folder / "done.json").is_file() and (folder / "report.html").is_file()
    records = read_records(folder / "metrics.jsonl")
    assert len(records) >= len(measured) and not [record for record in records if "error" in record]


@pytest.mark.slow
@pytest.mark.parametrize("path", CLUSTERINGS, ids=stem)
def test_a_clustering_is_played_to_its_end(path: Path, tmp_path: Path) -> None:
    assert main(["klish", "fit", str(path), "--quick", "--work-dir", str(tmp_path / "run")]) == 0


def test_full_size_without_network_or_data_says_what_it_uses_instead(tmp_path: Path) -> None:
    """CIFAR-10 and CLIP cannot be had here: the embedded ones take their place and are announced."""
    config = load_config(
        CONFIGS[0].parent / "lcp_cifar.py",
        options={
            "train_dataloader.dataset.source.root": str(tmp_path),
            "train_dataloader.dataset.source.download": False,
            "model.networks.generator.channels": 4,
            "model.networks.discriminator.channels": 4,
        },
    )
    text = summary(config, memory=False)
    assert "CIFAR-10 not found" in text
    assert "Fashion-MNIST (embedded)" in text
    assert "EmbeddedClip" in text


def test_any_folder_of_class_folders(tmp_path: Path) -> None:
    """lcp_folder.py takes its classes from the folders."""
    class_folders(tmp_path / "images")
    config = load_config(
        CONFIGS[0].parent / "lcp_folder.py",
        quick=True,
        options={
            "train_dataloader.dataset.source.root": str(tmp_path / "images"),
            "evaluation.real.root": str(tmp_path / "images"),
            "train_dataloader.dataset.split.labelled_fraction": 0.5,
        },
    )
    assert "36 images, 18 labelled, 3 classes" in summary(config, memory=False)
