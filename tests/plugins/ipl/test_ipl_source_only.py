"""``toolbox ipl table --source-only``: what is measured of prompts, and that cells are done once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from toolbox.cli.main import main
from toolbox_ipl.table import source_only


def test_the_measure_is_a_correlation_over_images_and_colours() -> None:
    generator = torch.Generator().manual_seed(0)
    features, colours = torch.randn(40, 8, generator=generator), torch.eye(8)[:3]
    scores = source_only._scores(features, colours)
    assert torch.allclose(scores.mean(dim=0), torch.zeros(3), atol=1e-6)
    assert source_only._correlation(scores, 2 * scores) == pytest.approx(1)
    expected = torch.corrcoef(torch.stack([scores.flatten(), scores.roll(1, 0).flatten()]))[0, 1]
    assert source_only._correlation(scores, scores.roll(1, 0)) == pytest.approx(float(expected), abs=1e-6)


def test_the_slope_counts_how_much_is_said() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = source_only._scores(torch.randn(40, 8, generator=generator), torch.eye(8)[:3])
    assert source_only._slope(scores, 0.2 * scores) == pytest.approx(0.2)
    assert source_only._slope(scores, scores.roll(1, 0)) == pytest.approx(
        source_only._correlation(scores, scores.roll(1, 0)), abs=1e-6
    )


def test_no_lambda_is_no_domain_term() -> None:
    options = source_only._options(0, 1, "grey", 5)
    assert options["before.prompts.model.objectives.domain"] is None
    assert source_only._options(5.0, 1, "grey", 5)["before.prompts.model.objectives.domain.weight"] == 5.0
    assert options["model.networks.mapper.names"] == ["drawing", "black and white photo"]


@pytest.mark.slow
def test_cells_are_done_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a mapper that hardly learnt: the numbers are there, in a second call too."""
    asked: list[Any] = []
    trained = source_only.trained

    def counted(folder: Path, config: str, options: dict[str, Any]) -> None:
        asked.append(options)
        trained(folder, config, options)

    monkeypatch.setattr(source_only, "trained", counted)
    monkeypatch.setattr(source_only, "LATENTS", 8)
    command = ["ipl", "table", str(tmp_path), "--source-only", "--targets", "grey", "--lambdas", "0"]
    command += ["--seeds", "1", "--prompting", "1"]
    assert main(command) == 0 and len(asked) == 1
    first = capsys.readouterr().out
    assert "| 0 | " in first and (tmp_path / "source_only.md").is_file()
    assert main(command) == 0 and len(asked) == 1
    assert capsys.readouterr().out.splitlines()[-1] == first.splitlines()[-1]
