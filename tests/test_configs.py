"""Every training config in the repository: it loads, its game is consistent, and its quick version builds.

Clustering configs have tests of their own: tests/plugins/klish/test_klish_configs.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from toolbox.config import load_config
from toolbox.training.explain.iteration import explain
from toolbox.training.explain.summary import summary

ALL = sorted((Path(__file__).parents[1] / "configs").glob("*.py"))
CONFIGS = [path for path in ALL if not path.name.startswith("klish_")]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_full_size_is_a_consistent_game(path: Path) -> None:
    """Players, phases and objectives fit together; every config has a first line that says what it is."""
    config = load_config(path)
    assert "minimise" in explain(config)
    assert path.read_text().startswith('"""')
    assert config.title


@pytest.mark.parametrize("path", [p for p in CONFIGS if p.stem != "lcp_folder"], ids=lambda path: path.stem)
def test_quick_version_builds(path: Path) -> None:
    """Networks, data and conditioner are built on embedded data; parameter counts are said."""
    text = summary(load_config(path, quick=True), memory=False)
    assert "(embedded)" in text
    assert "parameters" in text


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
    import numpy as np
    from PIL import Image

    for name in ("apple", "pear", "plum"):
        (tmp_path / name).mkdir()
        for i in range(12):
            pixels = np.random.default_rng(i).integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    config = load_config(
        CONFIGS[0].parent / "lcp_folder.py",
        quick=True,
        options={
            "train_dataloader.dataset.source.root": str(tmp_path),
            "evaluation.real.root": str(tmp_path),
            "train_dataloader.dataset.split.labelled_fraction": 0.5,
        },
    )
    assert "36 images, 18 labelled, 3 classes" in summary(config, memory=False)
