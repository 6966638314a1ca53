"""What reaches the person at the terminal: all of it goes through here, and is cleaned."""

from __future__ import annotations

import re
import sys

# Control characters but for line ends and tabs, line and direction marks of Unicode, and half characters.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text: object) -> str:
    r"""Text without what a terminal obeys: an escape sequence in a class's name is shown, as \x1b."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), str(text))


def one_line(text: object) -> str:
    """The same in one line."""
    return " ".join(line.strip() for line in plain(text).split("\n") if line.strip())


def say(text: str) -> None:
    """One line for the person at the terminal (on the first process); also in the run's log."""
    from mmengine.dist import is_main_process
    from tqdm import tqdm

    if is_main_process():
        tqdm.write(plain(text))


def show(text: object) -> None:
    """A command's answer, on stdout."""
    print(plain(text))


def complain(text: object) -> None:
    """An error or a fault in one line, on stderr."""
    print(one_line(text), file=sys.stderr)
