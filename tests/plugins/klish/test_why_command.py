"""``toolbox klish why``: its samples, what it measures, and that what is done stays done."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from toolbox.cli.main import main
from toolbox.config import ConfigError
from toolbox_klish.why import run as why_run
from toolbox_klish.why import variants
from toolbox_klish.why.measure import facts, joined, losses, measured
from toolbox_klish.why.picture import draw
from toolbox_klish.why.run import make
from toolbox_klish.why.samples import BLUR, Size, arcs, drawn_wall, of_generator, sample_of, without_wall
from toolbox_klish.why.variants import VARIANTS

TOY = Size(images=2, pixels=150, test_images=2, shown=1)


@pytest.fixture(autouse=True)
def few_first_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variants, "FIRST", 6)


def toy(out: Path, plan: dict[str, list[str]] | None = None, size: Size = TOY) -> str:
    return make(out, plan or {"wall-2": ["kmeans", "klish"]}, [0], [4], [3], size)


def test_the_command_writes_tables_and_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = toy(tmp_path / "whole")
    assert "| KLiSH |" in whole and (tmp_path / "whole" / "why.md").read_text() == whole

    measured_cell = why_run._measured

    def killed(cell: object, *rest: object) -> object:
        if cell == why_run.Cell("wall-2", "klish", 0):
            raise KeyboardInterrupt
        return measured_cell(cell, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(why_run, "_measured", killed)
    with pytest.raises(KeyboardInterrupt):
        toy(tmp_path / "killed")
    asked: list[object] = []
    monkeypatch.setattr(
        why_run, "_measured", lambda cell, *rest: asked.append(cell) or measured_cell(cell, *rest)
    )
    again = toy(tmp_path / "killed")
    assert asked == [why_run.Cell("wall-2", "klish", 0)] and again == whole
    for file in ("why.json", "cells/wall-2-klish-0.json"):
        found, expected = (json.loads((tmp_path / run / file).read_text()) for run in ("killed", "whole"))
        assert without_seconds(found) == without_seconds(expected)
    with pytest.raises(ConfigError, match="was made with"):
        toy(tmp_path / "whole", size=Size(images=3, pixels=150, test_images=2))


def without_seconds(found: object) -> object:
    if isinstance(found, dict):
        return {key: without_seconds(value) for key, value in found.items() if key != "seconds"}
    return [without_seconds(value) for value in found] if isinstance(found, list) else found


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"'klihs'.*klish"):
        toy(tmp_path, {"wall-2": ["klihs"]})
    with pytest.raises(ValueError, match="'portraits': neither embedded"):
        toy(tmp_path, {"portraits": ["klish"]})
    with pytest.raises(ConfigError, match="there twice"):
        toy(tmp_path, {"a/run": ["klish"], "b/run": ["klish"]})
    assert main(["klish", "why", str(tmp_path), "--fits", "-1"]) != 0


def test_losses_count_pairs() -> None:
    """Three pixels of the wall in clusters 0, 0, 1; two of a face in 1 and 2."""
    found = losses(np.array([[2, 1, 0], [0, 1, 1]]), ["wall", "face"])
    assert found["torn"] == {"wall": pytest.approx(200 / 3), "face": pytest.approx(100 / 3)}
    assert found["mixed"] == {"wall + face": 100.0}
    assert found["torn pairs"] == pytest.approx(100 * 3 / 6.5) and found["mixed pairs"] == pytest.approx(
        100 / 6.5
    )


def test_clusters_of_a_part_are_joined_by_the_truth() -> None:
    table = np.array([[5, 4, 1, 0], [0, 1, 6, 0]])
    assert joined(table, [0]).tolist() == [[9, 1], [1, 6]]
    assert joined(table, [0, 1]).tolist() == [[9, 1], [1, 6]]


def test_what_is_said_of_a_wall() -> None:
    size = Size(images=4, pixels=600, test_images=1)
    plain, placed = (facts(drawn_wall(amplitude, 0, size)) for amplitude in (0.0, 4.0))
    assert placed["place in wall"] > 90 > 20 > plain["place in wall"]
    assert 45 < plain["wall"] < 55 < plain["pairs of wall"]
    assert placed["IoU of wall pieces"] > plain["IoU of wall pieces"] and plain["lowest IoU of parts"] > 95
    assert facts(drawn_wall(0.0, 0, size, BLUR))["lowest IoU of parts"] < 90
    assert facts(arcs(0, TOY)) == {} == facts(without_wall(drawn_wall(1.0, 0, TOY)))


def test_samples_are_functions_of_their_seed() -> None:
    for name in ("arcs", "wall-1", "blurred-1", "wall-1-parts"):
        one, same, other = (sample_of(name, seed, TOY) for seed in (0, 0, 1))
        assert one.name == name and len(one.truth) == len(one.test) == TOY.test_images
        assert np.array_equal(one.fit, same.fit) and not np.array_equal(one.fit[:50], other.fit[:50])
        assert len(one.fit) == len(one.parts)


@pytest.mark.slow
def test_variants_can_be_fitted() -> None:
    sample = drawn_wall(1.0, 0, Size(images=2, pixels=100, test_images=1))
    for name in ("unit-rows", "standardised", "angle-order", "no-place", "no-place-truth"):
        chosen = VARIANTS[name].applied(sample)
        model = VARIANTS[name].fitted(chosen, 4, 0)
        assert measured(model.cut(4), chosen)["AMI"] > 0, name
    assert not VARIANTS["rule-layers"].fits(sample) and not VARIANTS["no-place"].fits(arcs(0, TOY))


def test_a_generator_has_layers_parts_and_pictures(tmp_path: Path) -> None:
    import toolbox

    generator = toolbox.build(dict(type="PGGANGenerator", image_size=16, channel_max=8, latent_dim=8))
    truth = toolbox.build(dict(type="EmbeddedSegmenter"))
    size = Size(images=2, pixels=256, test_images=1, shown=1)
    sample = of_generator(generator.eval(), "small", 0, size, truth.eval())
    assert list(sample.layers) == ["4x4", "8x8", "16x16"] and sample.fit.shape == (512, 24)
    assert sample.place is not None and sample.place.min() == -1 and sample.place.max() == 1
    assert VARIANTS["fine-layer"].applied(sample).fit.shape == (512, 8)
    assert np.allclose(np.linalg.norm(VARIANTS["unit-maps"].applied(sample).fit, axis=1), 3**0.5)
    cell = why_run.Cell("small", "kmeans", 0)
    (tmp_path / "cells").mkdir()
    why_run._measured(cell, sample, [3], tmp_path)
    cell.pictures(tmp_path).rename(why_run.Cell("small", "klish", 0).pictures(tmp_path))
    drawn = draw(tmp_path, "small", 0, 3)
    assert drawn is not None and drawn.is_file() and draw(tmp_path, "small", 0, 4) is None
