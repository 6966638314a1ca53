"""``files``: what a config needs is missing all at once, with where it comes from."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolbox.config import ConfigError, load_config
from toolbox.plugins import host
from toolbox.training.checks.files import check_files
from toolbox_ipl.published import METHODS, ROWS


def test_all_missing_files_are_named_with_their_origin(tmp_path: Path) -> None:
    here = tmp_path / "here.pt"
    here.touch()
    files = {str(here): "A", "not/there.pt": "github.com/B", "unused.pt": "C"}
    config = dict(files=files, model=dict(networks=[dict(weights=str(here)), dict(weights="not/there.pt")]))
    with pytest.raises(
        ConfigError, match=r"^a file is missing: not/there.pt \(github.com/B\). Put"
    ) as raised:
        check_files(config)
    assert "unused" not in str(raised.value) and "here.pt (A)" not in str(raised.value)
    check_files(dict(config, model=None))
    check_files({})


@pytest.mark.parametrize("files", ["a.pt", ["a.pt"], dict(a=1)])
def test_files_of_another_form_are_refused(files: object) -> None:
    with pytest.raises(ConfigError, match=r"^files=.* must be a dict"):
        check_files(dict(files=files))


@pytest.mark.parametrize("row", [row.config for row in ROWS])
def test_the_papers_rows_name_their_files_and_differ_in_the_method_alone(row: str) -> None:
    """Both methods have one config a row: labels, files, sizes and measures are the same."""
    configs = {method: load_config(f"ipl/{method}_{row}") for method in METHODS}
    for config in configs.values():
        with pytest.raises(ConfigError, match=r"files are missing: weights/.* \(.*github.com"):
            check_files(config)
    nada, ipl = configs["nada"], configs["ipl"]
    for key in ("files", "evaluation", "train_cfg", "train_dataloader", "optim_wrapper"):
        assert nada[key] == ipl[key]
    labels = ipl.model.networks.mapper["names"]
    assert labels == ipl.before.prompts.model.networks.mapper["names"]
    assert labels == nada.model.objectives.direction.labels and nada.stages == []
    assert nada.model.phases[0].moves.label == labels[1]


@pytest.mark.parametrize(
    "name", [name for name in host().configs() if name.startswith(("ipl/ipl_", "ipl/nada_"))]
)
def test_quick_needs_none_of_them(name: str) -> None:
    check_files(load_config(name, quick=True))
