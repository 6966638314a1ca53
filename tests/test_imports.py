"""What a command must not wait for: torch takes seconds to import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = {"torch", "mmengine", "torchvision", "sklearn", "scipy", "matplotlib", "open_clip", "numpy"}


def modules_after(code: str) -> set[str]:
    """Names of what is imported once ``code`` has run with our plugins on the path."""
    program = f"import sys\n{code}\nprint('MODULES', *{{name.split('.')[0] for name in sys.modules}})"
    path = os.pathsep.join([str(ROOT), *map(str, (ROOT / "plugins").iterdir())])
    answer = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
    )
    return set(answer.stdout.split("MODULES")[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import toolbox",
        "import toolbox.testing",
        "from toolbox.cli.main import main\ntry: main(['--help'])\nexcept SystemExit: pass",
        "from toolbox.source_tree import use_source_tree\nfrom pathlib import Path\n"
        "use_source_tree(Path.cwd())\n"
        "from toolbox.cli.main import main\nassert main(['plugins']) == 0 and main(['configs']) == 0",
    ],
    ids=["toolbox", "toolbox.testing", "--help", "plugins"],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    assert not modules_after(code) & HEAVY


def test_lazy_names_are_there() -> None:
    import toolbox
    import toolbox.testing

    assert all(
        getattr(module, name) is not None for module in (toolbox, toolbox.testing) for name in module.__all__
    )
    with pytest.raises(AttributeError, match="no attribute 'tarin'"):
        toolbox.tarin  # noqa: B018
