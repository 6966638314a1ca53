"""The plugin's README says what the code does."""

from __future__ import annotations

from pathlib import Path

from toolbox.config import load_config
from toolbox.training.explain.iteration import explain

ROOT = Path(__file__).parents[3]


def test_the_explained_iteration_is_the_present_one() -> None:
    """The README holds the print-out of ``toolbox explain ipl/ipl_portraits``, word for word."""
    readme = (ROOT / "plugins" / "ipl" / "README.md").read_text(encoding="utf-8")
    assert explain(load_config(ROOT / "configs" / "ipl_portraits.py")).rstrip() in readme
