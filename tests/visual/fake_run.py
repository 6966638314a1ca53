"""A run's folder as training leaves it, without training."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from toolbox.visual.grids import save_grid

CONFIG = """# resolved from configs/lcp_cifar.py --quick
seed = 0
title = 'LCP-GAN on CIFAR-10, 10 % of the labels'
train_cfg = dict(max_iters=1800, type='GameLoop')
model = dict(
    generator='generator',
    networks=dict(generator=dict(channels=16, type='BigGANGenerator')))
"""
NOTICE = "CIFAR-10 was not found in data/cifar10: the embedded part of Fashion-MNIST stands in for it."
CLASSES = ("t-shirt", "trouser", "<script>alert(1)</script>")


def fake_run(
    folder: Path, iterations: int = 1800, classes: Sequence[str] = CLASSES, embedded: bool = True
) -> Path:
    """Write every file that a report reads. Returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.py").write_text(CONFIG)
    _write(
        folder / "environment.json",
        dict(
            python="3.11.2",
            platform="Linux-6.1-x86_64",
            device="CPU, 2 threads",
            git="eff4dae",
            versions={"torch": "2.13.0", "mmengine": "0.10.7"},
            seed=0,
            command="tools/train.py configs/lcp_cifar.py --quick",
            started="2026-11-21 10:08:11",
            data=dict(
                title="Fashion-MNIST (embedded)" if embedded else "CIFAR-10",
                embedded=embedded,
                notice=NOTICE if embedded else "",
                notices=[],
                fingerprint="9f2c" * 16,
                n=8000,
                labelled=800,
                classes=list(classes),
            ),
        ),
    )
    _write_lines(folder / "scalars.jsonl", scalars(iterations))
    _write_lines(folder / "metrics.jsonl", metrics(embedded))
    for iteration in (600, 1200, iterations):
        save_grid(noise(12, iteration), folder / "samples" / f"iter_{iteration:07d}.png", columns=4)
    save_grid(noise(8, 1), folder / "pictures" / "clusters.png", columns=4)
    save_grid(noise(4, 2), folder / "pictures" / "real_images.png", columns=4)
    _write(folder / "pictures" / "captions.json", {"clusters.png": f"Clusters of {classes[-1]}"})
    _write(
        folder / "tables" / "nearest_words.json",
        dict(
            title="Nearest words of the prompts",
            columns=["class", "cluster", "words", "distance"],
            rows=[[name, k, "photo, print, sleeve", 0.41 + k / 7] for name in classes for k in range(2)],
        ),
    )
    stage = folder / "stages" / "clip"
    stage.mkdir(parents=True)
    _write_lines(
        stage / "scalars.jsonl",
        [
            {"iteration": i, "kimg": i * 0.064, "contrast/clip": 4.0 / (1 + i / 100)}
            for i in range(10, 400, 10)
        ],
    )
    _write(folder / "done.json", dict(iterations=iterations))
    return folder


def metrics(embedded: bool) -> list[dict[str, object]]:
    """Records as the evaluation writes them."""
    by_class = {str(k): dict(value=20.5 + k, n_real=800.0, n_fake=200.0) for k in range(3)}
    return [
        _metric("fid[toy-clip,2k]", {"": 21.4391}, False, embedded),
        _metric("kid[toy-clip,2k]", {"": 0.01234, "std": 0.00021}, False, embedded),
        {**_metric("intra-fid[toy-clip,2k]", {"": 33.2, "std": 8.1}, False, embedded), "classes": by_class},
        _metric("precision-recall[toy-clip,2k]", {"precision": 0.61, "recall": 0.22}, True, embedded),
        _metric("is[toy-clip,2k]", {"": 4.2, "std": 0.1}, True, embedded),
        _metric("cluster-consistency[k=5]", {"": 0.713, "n": 500.0}, True, embedded),
    ]


def _metric(name: str, values: dict[str, float], higher: bool, embedded: bool) -> dict[str, object]:
    data = dict(title="Fashion-MNIST (embedded)", n=8000, fingerprint="9f2c" * 16, embedded=embedded)
    return dict(
        metric=name,
        value=values.get(""),
        values=values,
        higher_is_better=higher,
        n_fake=2000,
        data=data,
        seed=0,
        time="2026-11-21T10:20:00+0000",
        versions={"torch": "2.13.0"},
        bn="standing",
        checkpoint="iter_1800.pth",
        iteration=1800,
        notice=NOTICE if embedded else "",
    )


def scalars(iterations: int) -> list[dict[str, float]]:
    """Readings of a hinge game with a classifier, one every 10 iterations."""
    rng, records = np.random.default_rng(0), []
    for i in range(10, iterations + 1, 10):
        decay = np.exp(-i / 500)
        records.append(
            {
                "iteration": i,
                "kimg": round(i * 0.064, 3),
                "real_or_fake/discriminator": 1.1 + 0.8 * decay + rng.normal() * 0.12,
                "prompts/prompt_discriminator": 1.6 + 0.4 * decay + rng.normal() * 0.1,
                "r1/discriminator": 0.004 + 0.01 * decay + abs(rng.normal()) * 0.002,
                "real_or_fake/generator": 0.5 - 0.9 * decay + rng.normal() * 0.2,
                "prompts/generator": -0.2 + 0.5 * decay + rng.normal() * 0.15,
                "labels/classifier": 0.3 + 2 * decay + abs(rng.normal()) * 0.1,
            }
        )
    return records


def noise(n: int, seed: int, size: int = 8) -> torch.Tensor:
    """(n, 3, size, size) in [-1, 1]."""
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def _write(path: Path, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def _write_lines(path: Path, records: Sequence[object]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
