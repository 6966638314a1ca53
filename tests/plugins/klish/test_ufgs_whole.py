"""``toolbox klish segment`` with nothing stood in for: tiny, killed at every arrow, and whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from toolbox_klish.ufgs import arrows
from toolbox_klish.ufgs.run import load_segmenter, segment_images
from toolbox_klish.ufgs.settings import read_config

pytestmark = pytest.mark.slow

TINY = {
    "clusters.options": {
        "features.images": 2,
        "features.size": 16,
        "clusterers.klish": dict(type="KLiSH", clusters=5, filter_sigma=None),
        "pictures": dict(samples=1, pool=1, strip=1),
        "shown": [3],
    },
    "clusters.number": 3,
    "pairs.images": 12,
    "pairs.shard": 4,
    "matching.data.images": 3,
    "evaluation.data.images": 3,
    "pictures.images": 2,
    "segmenter.model.networks.segmenter.channels": 2,
    "segmenter.train_dataloader.batch_size": 2,
    "segmenter.train_cfg.max_iters": 4,
    "segmenter.hooks.checkpoints.interval": 1,
    "device": "cpu",
}


def play(folder: Path) -> Path:
    return segment_images(read_config("klish/ufgs_embedded", quick=True, options=TINY), None, folder)


def killed(monkeypatch: pytest.MonkeyPatch, folder: Path, place: Any, name: str, after: int) -> None:
    """The command is stopped at the call number ``after`` of a function."""
    taken: Callable[..., Any] = getattr(place, name)
    calls = 0

    def counted(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise KeyboardInterrupt
        return taken(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(place, name, counted)
        with pytest.raises(KeyboardInterrupt):
            play(folder)


def test_killed_at_every_arrow_and_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same pairs, weights, labels and measures, bit for bit."""
    from toolbox.training.objectives.classification import PixelCrossEntropy
    from toolbox_klish.pairs import shards
    from toolbox_klish.ufgs import run

    whole, again = play(tmp_path / "whole"), tmp_path / "again"
    killed(monkeypatch, again, arrows, "fit", 0)
    killed(monkeypatch, again, shards, "encode_mask", 6)
    killed(monkeypatch, again, PixelCrossEntropy, "cross_entropy", 2)
    killed(monkeypatch, again, run, "match", 0)
    killed(monkeypatch, again, run, "scores_of", 0)
    play(again)
    for name in ("matching.json", "measures.json", "pictures/segments.png"):
        assert (again / name).read_bytes() == (whole / name).read_bytes(), name
    for file in sorted((whole / "pairs").rglob("*.zip")):
        assert (again / file.relative_to(whole)).read_bytes() == file.read_bytes()
    ours, theirs = (load_segmenter(folder).state_dict() for folder in (again, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert np.isfinite([float(value.float().sum()) for value in ours.values()]).all()
