"""``klish``: how long KLiSH takes, from small features to those of the paper: 16.8 million pixels x 992."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.gpu.cases import Case, Found, LeftOutError
from toolbox.registry import build
from toolbox_klish.cost import GIB, MACHINES, estimate

PAPER = dict(rows=2**24, width=992, clusters=100)
FIRST_ROWS, GROWTH = 2**16, 4
CLASSES = 40  # in the made features
CHUNK = 2**18  # rows that are made together


def cases(device: str, tiny: bool = False, deadline: float = float("inf")) -> Iterator[Case]:
    """Sizes that grow fourfold, until the next would take more time or memory than there is."""
    if tiny:
        yield "1,000 x 12", partial(fitted, 1000, 12, 6, device, 4)
        return
    rows, took = FIRST_ROWS, 0.0
    width, clusters = PAPER["width"], PAPER["clusters"]
    while rows <= PAPER["rows"]:
        name = f"{rows:,} x {width}, {clusters} clusters"
        left = deadline - time.monotonic()
        reason = too_large(rows, width, clusters, device) or too_long(took * GROWTH, left)
        start = time.monotonic()
        yield name, partial(_left_out, reason) if reason else partial(fitted, rows, width, clusters, device)
        took = time.monotonic() - start
        if reason:
            return
        rows *= GROWTH


def too_long(expected: float, left: float) -> str:
    """Why a size is not begun, by what the smaller ones took; or ''."""
    return f"{expected:.0f} s are expected, {max(left, 0):.0f} s are left" if expected > left else ""


def too_large(rows: int, width: int, clusters: int, device: str) -> str:
    """Why a size is not begun, by the memory that is free; or ''."""
    if device == "cpu":
        return ""
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info()
    needed = estimate(rows, width, clusters, MACHINES["h100"]).memory
    if needed > 0.95 * free:
        return f"{needed / GIB:.0f} GiB are needed, {free / GIB:.0f} GiB are free"
    return ""


def _left_out(reason: str) -> Found:
    raise LeftOutError(reason)


def fitted(rows: int, width: int, clusters: int, device: str, classes: int = CLASSES) -> Found:
    """Seconds of a fit, of its first training and of all merges, and what the tree makes of made classes."""
    features, made = made_features(rows, width, classes, device)
    _restart(device)
    model = build(dict(type="KLiSH", clusters=clusters, filter_sigma=None, device=device))
    start = time.monotonic()
    model.fit(features)
    total = time.monotonic() - start
    training, merging = float(model.seconds_[0]), float(model.seconds_[-1] - model.seconds_[0])
    memory = torch.cuda.max_memory_allocated() / GIB if device != "cpu" else 0.0
    agree = purity(model.cut(classes).labels_, made)
    says = (
        f"{total:.1f} s: first training {training:.1f}, {len(model.merges_)} merges {merging:.1f}; "
        f"{memory:.1f} GiB; purity {agree:.3f} at {classes}"
    )
    numbers = dict(rows=rows, width=width, clusters=clusters, seconds=total, first_training=training)
    numbers.update(merging=merging, memory_gib=memory, purity=agree, merges=len(model.merges_))
    return Found(
        says, "" if len(model.merges_) == clusters - 1 else f"{says}; not all merges were made", numbers
    )


def made_features(
    rows: int, width: int, classes: int, device: str, seed: int = 0
) -> tuple[Tensor, np.ndarray]:
    """As of :func:`toolbox_klish.toy.curved_clusters`, made and kept on the device, in float16."""
    rng = torch.Generator(device).manual_seed(seed)
    drawn: dict[str, Any] = dict(generator=rng, device=device)
    basis = torch.linalg.qr(torch.randn(width, width, **drawn))[0]
    across = torch.rand(classes, width - classes, **drawn).argsort(dim=1)[:, :2] + classes
    turned = 2 * torch.pi * torch.rand(classes, **drawn)
    features = torch.empty(rows, width, dtype=torch.float16, device=device)
    labels = torch.randint(classes, (rows,), **drawn)
    for start in range(0, rows, CHUNK):
        own = labels[start : start + CHUNK]
        angle = torch.pi * torch.rand(len(own), **drawn) + turned[own]
        x = 0.3 * torch.randn(len(own), width, **drawn)
        every = torch.arange(len(own), device=device)
        x[every, own] += 4.0
        x[every, across[own, 0]] += 6.0 * angle.cos()
        x[every, across[own, 1]] += 6.0 * angle.sin()
        features[start : start + CHUNK] = (x @ basis.T).half()
    return features, labels.cpu().numpy()


def purity(found: np.ndarray, made: np.ndarray, most: int = 200_000) -> float:
    """Share of rows that belong to the class that is the most frequent one of their cluster."""
    step = max(len(found) // most, 1)
    found, made = found[::step], made[::step]
    table = np.zeros((found.max() + 1, made.max() + 1))
    np.add.at(table, (found, made), 1)
    return float(table.max(axis=1).sum() / len(found))


def _restart(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
