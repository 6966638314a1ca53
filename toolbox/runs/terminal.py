"""What reaches the person at the terminal."""

from __future__ import annotations


def say(text: str) -> None:
    """One line for the person at the terminal (on the first process); also in the run's log."""
    from mmengine.dist import is_main_process
    from tqdm import tqdm

    if is_main_process():
        tqdm.write(text)
