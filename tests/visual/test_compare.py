"""Runs side by side: what each was asked to draw, sizes, what is written beside."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from toolbox.interfaces import Request, Sample
from toolbox.visual.compare import compare


class FakeSampler:
    """Grey images whose brightness is the index and the class."""

    def __init__(self, size: int = 8, classes: tuple[str, ...] = ("bag", "boot"), seed: int = 0) -> None:
        self.size, self.classes, self.seed = size, list(classes), seed
        self.asked: tuple[list[int], list[int] | None] | None = None

    def requests(self) -> dict[str, dict[str, Request]]:
        classes = {name: Request(class_name=name) for name in self.classes}
        return {"class": classes} if classes else {}

    def __call__(self, indices: torch.Tensor, *, requests: Sequence[Request] | None = None) -> Sample:
        if requests is not None and requests[0].text is not None:
            return self.draw_texts(indices, [request.text for request in requests])
        labels = None if requests is None else [self.classes.index(r.class_name or "") for r in requests]
        self.asked = (indices.tolist(), labels)
        return self.draw(indices)

    def draw_texts(self, indices: torch.Tensor, texts: list[str | None]) -> Sample:
        if "zebra" in texts:
            raise ValueError("'zebra' has no word that the vocabulary knows")
        self.read = list(zip(indices.tolist(), texts, strict=True))
        return self.draw(indices)

    def draw(self, indices: torch.Tensor) -> Sample:
        return Sample((indices / 10 - 0.5)[:, None, None, None].expand(-1, 3, self.size, self.size))


def run(samplers: dict[str, FakeSampler], path: Path, **arguments: Any) -> dict[str, Any]:
    """Draw, and read what was written beside the picture."""
    assert compare(samplers, path, **arguments) == path
    return json.loads(path.with_suffix(".json").read_text())


def test_all_runs_get_the_same_latents_and_classes(tmp_path: Path) -> None:
    base, lcp = FakeSampler(), FakeSampler()
    result = run(dict(base=base, lcp=lcp), tmp_path / "c.png", columns=3, rows=2)
    assert base.asked == lcp.asked == ([0, 1, 2, 3, 4, 5], [0, 1, 0, 0, 1, 0])
    assert (
        result["classes"] == ["bag", "boot", "bag"] and result["conditions"] == "the same latents and classes"
    )


def test_sizes_are_brought_to_the_largest(tmp_path: Path) -> None:
    run(
        dict(small=FakeSampler(8), middle=FakeSampler(12), large=FakeSampler(16)),
        tmp_path / "c.png",
        columns=4,
    )
    alone = run(dict(large=FakeSampler(16)), tmp_path / "one.png", columns=4)
    rows = [np.array(Image.open(tmp_path / name)).shape[0] for name in ("c.png", "one.png")]
    assert rows[0] - rows[1] == 2 * (16 * 4 + 2)
    assert alone["runs"] == {"large": {"image_size": 16}}


def test_runs_without_common_classes_draw_their_own_conditions(tmp_path: Path) -> None:
    plain = FakeSampler(classes=())
    result = run(dict(base=FakeSampler(), plain=plain), tmp_path / "c.png", columns=2)
    assert plain.asked == ([0, 1], None) and "conditions of its own" in result["conditions"]


def test_facts_are_written_beside(tmp_path: Path) -> None:
    details = {"base|1": dict(checkpoint="runs/base/iter_1800.pth", fid=12.34567)}
    record = run({"base|1": FakeSampler()}, tmp_path / "a" / "c.png", columns=2, details=details)
    words = (tmp_path / "a" / "c.md").read_text()
    assert record["runs"]["base|1"] == dict(image_size=8, checkpoint="runs/base/iter_1800.pth", fid=12.34567)
    assert (
        "![runs side by side](c.png)" in words
        and "| base\\|1 | 8 | runs/base/iter_1800.pth | 12.35 |" in words
    )


def test_metrics_stand_beside_the_pictures(tmp_path: Path) -> None:
    """Under the run's name, as far as there is room; all of them in the table and the record."""
    metrics = {"base": {"fid[toy-clip,2k]": 12.34567, "kid[toy-clip,2k]": 0.5}}
    plain = run({"base": FakeSampler(24)}, tmp_path / "plain.png", columns=2)
    record = run({"base": FakeSampler(24)}, tmp_path / "c.png", columns=2, metrics=metrics)
    widths = [Image.open(tmp_path / name).width for name in ("plain.png", "c.png")]
    assert widths[1] > widths[0] + 60 and record["runs"]["base"] == {"image_size": 24, **metrics["base"]}
    assert "| base | 24 | 12.35 | 0.5 |" in (tmp_path / "c.md").read_text() and plain["runs"]


def test_a_column_is_a_caption(tmp_path: Path) -> None:
    """The same latents in each row of every run; the captions stand in picture and record."""
    plain, scl = FakeSampler(), FakeSampler()
    texts = ["a red bird", "a small bird with a very long tail that sits upon the branch of an old tree"]
    result = run(dict(plain=plain, scl=scl), tmp_path / "c.png", rows=2, texts=texts)
    assert plain.read == scl.read == [(0, texts[0]), (0, texts[1]), (1, texts[0]), (1, texts[1])]
    assert result["captions"] == texts and result["classes"] == []
    assert "Columns: captions; the same latents in each run." in (tmp_path / "c.md").read_text()
    with pytest.raises(ValueError, match="scl: 'zebra' has no word that the vocabulary knows"):
        compare(dict(scl=scl), tmp_path / "c.png", texts=["zebra"])


@pytest.mark.parametrize(
    ("samplers", "details", "words"),
    [
        ({}, None, "samplers is empty"),
        ({"a": FakeSampler(), "b": FakeSampler(seed=3)}, None, "different seeds"),
        ({"a": FakeSampler()}, {"b": {}}, "details names b; the runs are a"),
    ],
)
def test_faults_are_named(tmp_path: Path, samplers: Any, details: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        run(samplers, tmp_path / "c.png", details=details)
