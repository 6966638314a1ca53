"""What the scripts beside this file share: they run `toolbox` of this source tree, installed or not."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def launch(*command: str) -> None:
    """Run ``toolbox COMMAND`` (one word or several) with this script's arguments; exit with its status."""
    sys.path.insert(0, str(ROOT))
    from toolbox.source_tree import use_source_tree

    use_source_tree(ROOT)
    from toolbox.cli.main import main

    sys.exit(main([*command, *sys.argv[1:]]))
