"""Test modules of this folder share toy_games.py."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
