"""Reading the pickles of CIFAR without running what a pickle may hold."""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from toolbox.data.base import DataError

_NDARRAY = "numpy.ndarray"  # stands for the class, so that a pickle cannot call it
_DTYPE = re.compile(r"[<>|=]?[buif][1248]")


class _Sealed:
    """A function whose attributes a pickle cannot set."""

    __slots__ = ("_function",)
    _function: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        object.__setattr__(self, "_function", function)

    def __call__(self, *arguments: Any) -> Any:
        return self._function(*arguments)

    def __setattr__(self, name: str, value: object) -> None:
        raise Refused("setting attributes")


def _latin1(text: str, codec: str) -> bytes:
    """Bytes in a pickle that Python 3 wrote for Python 2: a text and the way back."""
    if codec not in ("latin1", "latin-1"):
        raise Refused(f"the codec {codec!r}")
    return text.encode("latin1")


def _empty(subtype: object, shape: object, code: object) -> np.ndarray:
    """The array that the pickle then fills."""
    if subtype is not _NDARRAY:
        raise Refused(f"an array of type {subtype!r}")
    return np.ndarray((0,), np.uint8)


def _dtype(code: str, *flags: object) -> np.dtype:
    """A plain number type, as a copy, since the pickle sets its state. No structured or object types."""
    if not _DTYPE.fullmatch(code):
        raise Refused(f"the number type {code!r}")
    return np.dtype(np.dtype(code), False, True)


def _from_buffer(buffer: bytes, dtype: np.dtype, shape: Any, order: Any) -> np.ndarray:
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)


class Refused(pickle.UnpicklingError):
    """A pickle names something that is neither an array nor a builtin container."""


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Sealed(_dtype),
    ("_codecs", "encode"): _Sealed(_latin1),
}
for _package in ("numpy.core", "numpy._core"):  # before and after numpy 2
    _ALLOWED[_package + ".multiarray", "_reconstruct"] = _Sealed(_empty)
    _ALLOWED[_package + ".numeric", "_frombuffer"] = _Sealed(_from_buffer)


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise Refused(f"{module}.{name}")
        return _ALLOWED[module, name]


def load_arrays(path: str | Path) -> dict[str, Any]:
    """The dict in a pickle of numpy arrays and builtin containers; keys become str.

    A pickle is a program: this one may only rebuild numpy arrays. Nothing else that it names is even
    imported.

    Raises:
        DataError: when it names anything else, is torn, or is no dict.
    """
    try:
        content = _ArraysOnly(io.BytesIO(Path(path).read_bytes()), encoding="latin1").load()
    except Refused as error:
        raise DataError(
            f"{path} was not read: its pickle asks for {error}, which image data never needs; it may be "
            f"malicious. Fetch the file from its source"
        ) from None
    except FileNotFoundError:
        raise DataError(f"{path} is missing") from None
    except Exception as error:  # a torn pickle raises almost anything, as pickle's documentation says
        raise DataError(
            f"{path} is torn or not a pickle ({type(error).__name__}: {error}); fetch it anew"
        ) from None
    if not isinstance(content, dict):
        raise DataError(f"{path} holds a {type(content).__name__}, not the dict of a CIFAR batch")
    return {_text(key): value for key, value in content.items()}


def _text(key: object) -> str:
    return key.decode("latin1") if isinstance(key, bytes) else str(key)
