"""What the plugin says of itself, without importing anything heavy."""

from __future__ import annotations

import subprocess
import sys

import toolbox_ipl
from toolbox import testing
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
