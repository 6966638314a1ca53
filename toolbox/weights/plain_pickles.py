"""Pickles of plain data (lists, dicts, texts, numbers), read by Python's own unpickler in C.

It would run what a pickle says, and set aside what memory it asks for; so a scan comes first. It knows every
operation that plain data need and refuses the pickle at any other: names, calls, states, references to the
outside, tuples (whose hash can take forever) and places of the memo that would take gigabytes. The unpickler
then sees nothing that it could obey. Scan and unpickler together take less than a tenth of the time
of :func:`toolbox.weights.pickles.read_pickle`.
"""

from __future__ import annotations

import gc
import io
import pickle
import pickletools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from toolbox.weights.errors import WeightsError, reason
from toolbox.weights.pickles import RefusedError

MOST_BYTES = 4 * 10**7  # the largest published file, the captions of COCO, has about 20 MB
MOST_LISTS = 6_000_000  # lists and dicts: a byte makes one, which takes 60; those captions have 0.6 million
MOST_TEXTS = 1_000_000  # each takes a step in Python; the names of the files of COCO are 80,000

# Operations of known length, the frequent ones first. Numbers have 32 bits: larger ones can be made to
# collide as keys of a dict. The memo has 2**23 places: the unpickler sets aside all up to the one named.
_FIXED = re.compile(
    rb"""(?:
      K.|M..                                      # whole numbers of one and two bytes
    | [\]ae(usl}dN\x88\x89\x94]                   # lists, dicts, None, True, False, memo
    | [qh].|[rj]..[\x00-\x7f]\x00                 # memo by number
    | J....|\x8a(?:\x00|\x01.|\x02..|\x03...|\x04....)
    | I-?[0-9]{1,10}\n|[pg][0-9]{1,7}\n|L-?[0-9]{1,9}L?\n|G.{8}|F[-+.0-9a-z]{1,40}\n
    | S(?:'[^\n]*'|"[^\n]*")\n|V[^\n]*\n          # texts of protocol 0
    | \x80[\x00-\x05]|\x95....\x00\x00\x00\x00    # protocol, frame
    )++""",
    re.DOTALL | re.VERBOSE,
)
_LENGTH = {ord("U"): 1, 0x8C: 1, ord("T"): 4, ord("X"): 4}  # texts: bytes of the length before them
_STOP = ord(".")
_KNOWN = b"KM]ae(usl}dN\x88\x89\x94qhrjJ\x8aIpgLGFSV\x80\x95"  # the operations of _FIXED
_NAMES = {ord(operation.code): operation.name for operation in pickletools.opcodes}


def read_plain(data: bytes) -> Any:
    """The value of a pickle of plain data; texts of Python 2 are read as latin-1.

    Args:
        data: the whole pickle, of any protocol; what follows its end is not read.

    Raises:
        RefusedError: for an operation that plain data do not need, or too many lists.
        WeightsError: for a torn or too large pickle, and for numbers and places of the memo that are too
            large.
    """
    if len(data) > MOST_BYTES:
        raise WeightsError(f"it has {len(data):,} bytes, more than {MOST_BYTES:,}")
    data = data[: _end(data)]
    if sum(map(data.count, (b"]", b"}", b"("))) > MOST_LISTS:  # each list and dict takes one of these bytes
        raise RefusedError(f"more than {MOST_LISTS:,} lists")
    file = io.BufferedReader(io.BytesIO(data), 2**20)  # it can peek: read in blocks
    try:
        with _no_garbage():
            return _Plain(file, encoding="latin1").load()
    except RefusedError:
        raise
    except Exception as error:  # a torn pickle raises almost anything
        raise WeightsError(f"the pickle is torn or malformed ({reason(error)})") from None


@contextmanager
def _no_garbage() -> Iterator[None]:
    """The collector rests: it would look through the lists made so far again and again, half of the time."""
    runs = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if runs:
            gc.enable()


def _end(data: bytes) -> int:
    """Bytes up to and with the end of the pickle, all of whose operations are known."""
    at = texts = 0
    while at < len(data):
        fixed = _FIXED.match(data, at)
        at = fixed.end() if fixed else at
        operation = data[at] if at < len(data) else -1
        if operation == _STOP:
            return at + 1
        width = _LENGTH.get(operation)
        if width is None:
            _refuse(data, at)
        texts += 1
        if texts > MOST_TEXTS:
            raise RefusedError(f"more than {MOST_TEXTS:,} texts")
        at += 1 + width + int.from_bytes(data[at + 1 : at + 1 + width], "little")
    raise WeightsError("the pickle is torn (it ends early)")


def _refuse(data: bytes, at: int) -> NoReturn:
    if at >= len(data):
        raise WeightsError("the pickle is torn (it ends early)")
    name = _NAMES.get(data[at])
    if name is None:
        raise WeightsError(f"the pickle is torn, or none (at byte {at:,})")
    if data[at] in _KNOWN:
        raise WeightsError(f"the pickle is torn, or unlike any of plain data ({name} at byte {at:,})")
    said = f" ({bytes(data[at + 1 : at + 81])!r})" if name in ("GLOBAL", "INST") else ""
    raise RefusedError(f"the operation {name}{said} at byte {at:,}")


class _Plain(pickle.Unpickler):
    """Never asked for a name after the scan; refuses it all the same."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise RefusedError(f"the name {module[:80]}.{name[:80]}")

    def persistent_load(self, pid: Any) -> NoReturn:
        raise RefusedError("a persistent id (data that is kept outside the file)")
