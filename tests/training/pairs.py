"""Two real processes of one gloo group, for tests.

``run_pair(function, *args)`` runs a top-level function of any test module in each and gives ``[result of rank
0, of rank 1]``; inside, ``toolbox.ranks`` tells who one is. The first pair of a test process takes seconds,
later ones a fraction of one.
"""

from __future__ import annotations

from toolbox.testing.processes import run_ranks as run_pair

__all__ = ["run_pair"]
