"""Puts the makers of small data sets on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
