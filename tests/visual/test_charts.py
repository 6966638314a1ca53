"""Bars and matrices: a PNG comes out whatever the numbers and names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toolbox.visual.charts import bar_chart, heatmap


def test_bars_are_as_long_as_their_numbers(tmp_path: Path) -> None:
    picture = np.array(Image.open(bar_chart({"a": 1.0, "b": 2.0}, tmp_path / "x" / "bars.png")))
    blue = (picture == (43, 108, 176)).all(axis=2).sum(axis=1)
    lengths = sorted(set(blue[blue > 0].tolist()))
    assert lengths[-1] / lengths[0] == pytest.approx(2.0, rel=0.02)


def test_odd_numbers_and_names_are_drawn(tmp_path: Path) -> None:
    path = bar_chart({"$x_{": float("nan"), "<b>": -3.0}, tmp_path / "bars.png", "100 $ {", "$", {"<b>": 0.5})
    assert Image.open(path).size[0] > 300


def test_a_matrix_darkens_with_its_numbers(tmp_path: Path) -> None:
    path = heatmap(
        [[0, 1], [np.nan, 9]], ["$a", "b"], ["c", "d"], tmp_path / "m.png", "t", "true", "predicted"
    )
    assert np.array(Image.open(path).convert("L")).min() < 80


def test_a_large_matrix_has_no_numbers_and_still_fits(tmp_path: Path) -> None:
    names = [str(i) for i in range(100)]
    assert max(Image.open(heatmap(np.eye(100), names, names, tmp_path / "m.png")).size) < 4000


def test_faults_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="values is empty"):
        bar_chart({}, tmp_path / "b.png")
    with pytest.raises(ValueError, match="errors names z; values has a"):
        bar_chart({"a": 1.0}, tmp_path / "b.png", errors={"z": 1.0})
    with pytest.raises(ValueError, match=r"matrix has shape \(2, 2\)"):
        heatmap(np.eye(2), ["a"], ["b", "c"], tmp_path / "b.png")
