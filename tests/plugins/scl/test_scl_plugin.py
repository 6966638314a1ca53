"""What the plugin says of itself, without importing anything heavy."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import toolbox_scl
from toolbox import testing
from toolbox.plugins import host
from toolbox.registry import build

README = Path(__file__).parents[3] / "plugins" / "scl" / "README.md"


def test_every_component_loads_and_fits_its_interface() -> None:
    declared: list[str] = []
    toolbox_scl.register_components(lambda kind, name, address: declared.append(name))
    for name in declared:
        assert host().catalog.find(name).load().__name__ == name
    assert testing.check_plugin("toolbox_scl").paper and toolbox_scl.plugin_info()["api_version"] == 1


def test_the_readmes_code_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    for block in blocks:
        names: dict[str, Any] = {}
        exec(block, names)
        for name in {"pretraining", "gan_phase"} & set(names):
            names[name].pop("weight")  # is the game's
            build(names[name], "objective")
        assert "loss" not in names or names["loss"].isfinite()
    assert len(blocks) == 2


def test_importing_the_plugin_imports_no_torch() -> None:
    code = "import sys, toolbox_scl; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    paths = {"PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=paths, timeout=300).returncode == 0
