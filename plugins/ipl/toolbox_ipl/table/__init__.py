"""Adapted generators of drawn portraits, row by row, judged by a network that no loss has seen."""
