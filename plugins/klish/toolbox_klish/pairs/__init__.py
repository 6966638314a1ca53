"""Paired data: images of a generator with their clusters as masks (the paper, section 3.3)."""
