"""Reading the pickles of data sets without running what a pickle may hold."""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

from toolbox.data.base import DataError
from toolbox.weights.errors import WeightsError
from toolbox.weights.limits import Meter
from toolbox.weights.pickles import RefusedError, read_pickle, table
from toolbox.weights.plain_pickles import MOST_BYTES as PLAIN_BYTES
from toolbox.weights.plain_pickles import read_plain
from toolbox.weights.rebuilt import DATA_NAMES, Array

MOST_BYTES = 25 * 10**7  # of a file; the largest published one has 155 MB, 232 if Python 3 writes it anew

_MOST_STEPS = 800_000  # the largest published file takes some 300,000


class _OldArray(Array):
    """An array that Python 2 pickled: its bytes come as a text."""

    def build(self, state: Any) -> None:
        *others, raw = state
        super().build((*others, raw.encode("latin1") if isinstance(raw, str) else raw))


_NAMES = {
    (module, name): make
    for (module, name), make in DATA_NAMES.items()
    if module == "_codecs" or (module.startswith("numpy") and name != "scalar")
}
_NAMES |= dict.fromkeys((key for key in _NAMES if key[1] == "_reconstruct"), _OldArray)


def load_arrays(path: str | Path) -> dict[str, Any]:
    """The dict in a pickle of numpy arrays and builtin containers; keys become str.

    A pickle is a program: this one may only rebuild numpy arrays (:mod:`toolbox.weights.pickles`). Nothing
    else that it names is even imported.

    Raises:
        DataError: when it names anything else, is torn, too large, or is no dict.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path} is missing")
    size = path.stat().st_size
    if not 0 < size <= MOST_BYTES:
        raise DataError(f"{path} is torn or no batch of images: it has {size:,} bytes; fetch it anew")
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream:
            content = read_pickle(stream, table(_NAMES), meter=Meter(_MOST_STEPS))
    except RefusedError as error:
        raise DataError(
            f"{path} was not read: its pickle asks for {error}, which image data never needs; it may be "
            f"malicious. Fetch the file from its source"
        ) from None
    except WeightsError as error:
        raise DataError(f"{path} is torn or not a pickle ({error}); fetch it anew") from None
    if not isinstance(content, dict):
        raise DataError(f"{path} holds a {type(content).__name__}, not the dict of a CIFAR batch")
    return {_text(key): value.numpy if isinstance(value, Array) else value for key, value in content.items()}


def load_plain(path: str | Path) -> Any:
    """The lists, dicts, texts and numbers in a pickle, such as the captions of CUB and COCO.

    Raises:
        DataError: when it asks for anything else (:mod:`toolbox.weights.plain_pickles`), is missing, torn or
            too large.
    """
    path = Path(path)
    try:
        if path.stat().st_size > PLAIN_BYTES:
            raise WeightsError(f"it has {path.stat().st_size:,} bytes, more than {PLAIN_BYTES:,}")
        return read_plain(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path} is missing") from None
    except RefusedError as error:
        raise DataError(
            f"{path} was not read: its pickle asks for {error}, which plain data never need; it may be "
            f"malicious. Fetch the file from its source"
        ) from None
    except WeightsError as error:
        raise DataError(f"{path} cannot be read: {error}; fetch it anew") from None


def _text(key: object) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)
