"""What the plugin says of itself, without importing anything heavy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import toolbox_ipl
from toolbox import load_config, testing
from toolbox.plugins import host


def test_every_component_loads_and_fits_its_interface() -> None:
    declared: list[str] = []
    toolbox_ipl.register_components(lambda kind, name, address: declared.append(name))
    for name in declared:
        assert host().catalog.find(name).load().__name__ == name
    assert testing.check_plugin("toolbox_ipl").paper and toolbox_ipl.plugin_info()["api_version"] == 1


def test_importing_the_plugin_imports_no_torch() -> None:
    code = "import sys, toolbox_ipl; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    paths = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=paths, timeout=300).returncode == 0


@pytest.mark.parametrize("name", ["ipl/diffipl_ffhq", "ipl/diffusionclip_ffhq"])
def test_quick_says_what_it_swaps_and_leaves_what_was_named(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The toys stand in for files that nobody named: not for those of the command line, or of a file."""
    load_config(name, quick=True)
    said = capsys.readouterr().err
    for swapped in (
        "DrawnPortraits instead of ImageFolder",
        "EmbeddedDiffAE instead of DiffAE",
        "PortraitClip",
    ):
        assert swapped in said
    own = {"model.latents.images.root": "MY", "model.networks.source.weights": "MY/last.ckpt"}
    found = load_config(name, quick=True, options=own).model
    said = capsys.readouterr().err
    assert found.latents.images == dict(type="ImageFolder", root="MY", image_size=32)
    assert found.networks.source.type == "DiffAE" and found.networks.source.weights == "MY/last.ckpt"
    assert "--quick leaves: " in said and "root='MY'" in said
    file = tmp_path / "mine.py"
    file.write_text(f"_base_ = {name!r}\nmodel = dict(latents=dict(images=dict(root='MINE')))\n")
    assert load_config(file, quick=True).model.latents.images.root == "MINE"
