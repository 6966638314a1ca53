"""A pickle is a program; this is a machine for it that can only make data.

Python's own unpickler imports what a pickle names, calls it, and sets attributes on it; an allow-list on top
of it has to foresee every trick. This machine has no such powers: a name is looked up in a table of ours and
never imported, a call reaches only our functions for that name, and nothing but a :class:`Shell` takes a
state.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from toolbox.weights.errors import WeightsError, reason
from toolbox.weights.limits import Meter

_HASHABLE = (str, int, float, bytes, bool, type(None))  # the hash of nested tuples can take forever
_LARGEST_KEY = 2**60  # the hash of such a number is itself: larger ones can be made to collide
_LONGEST_KEY = 16  # of a tuple of plain values

_LITERALS = {
    "BININT",
    "BININT1",
    "BININT2",
    "LONG1",
    "LONG4",
    "BINFLOAT",
    "SHORT_BINSTRING",
    "BINSTRING",
    "SHORT_BINUNICODE",
    "BINUNICODE",
    "BINUNICODE8",
    "SHORT_BINBYTES",
    "BINBYTES",
    "BINBYTES8",
    "BYTEARRAY8",
    # of protocols 0 and 1, and of Python 2
    "INT",
    "LONG",
    "FLOAT",
    "STRING",
    "UNICODE",
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_NEW: dict[str, Callable[[], Any]] = {
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
    "EMPTY_TUPLE": tuple,
}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Stream(Protocol):
    """What is read from: bytes with a position."""

    def read(self, n: int = -1, /) -> bytes: ...

    def readline(self) -> bytes: ...

    def tell(self) -> int: ...


class RefusedError(WeightsError):
    """A pickle asks for something that weights never need."""


class Shell:
    """What a pickle may give a state to."""

    def build(self, state: Any) -> None:
        """Take the state."""
        raise NotImplementedError


@dataclass(frozen=True)
class Name:
    """A name that a pickle may use: it stands for ``make(*arguments)``, or for itself if ``make`` is None."""

    text: str
    make: Callable[..., Any] | None = None


#: (module, name) -> what it stands for, None = refused.
Names = Callable[[str, str], Name | None]


def table(entries: Mapping[tuple[str, str], Callable[..., Any] | None]) -> Names:
    """Names out of a fixed table."""

    def find(module: str, name: str) -> Name | None:
        known = (module, name) in entries
        return Name(f"{module}.{name}", entries[module, name]) if known else None

    return find


def read_pickle(
    stream: Stream,
    names: Names,
    persistent: Callable[[Any], Any] | None = None,
    meter: Meter | None = None,
) -> Any:
    """The value of the pickle that starts at the stream's position; the stream then stands behind it.

    Args:
        stream: the bytes; lengths declared in the pickle are read from it, never allocated in advance (as
            mmap and BytesIO do).
        names: which names it may use, and what they stand for.
        persistent: makes the value of a persistent id; None = refused.
        meter: counts the work; default one of this pickle alone.

    Raises:
        RefusedError: for a name or an operation that weights never need.
        WeightsError: for a torn pickle.
    """
    machine = _Machine(names, persistent, meter or Meter())
    try:
        for opcode, argument, _ in pickletools.genops(stream):  # type: ignore[arg-type]
            machine.step(opcode.name, argument)
        return machine.stack.pop()
    except WeightsError:
        raise
    except Exception as error:  # a torn pickle raises almost anything
        raise WeightsError(f"the pickle is torn or malformed ({reason(error)})") from error


class _Machine:
    def __init__(self, names: Names, persistent: Callable[[Any], Any] | None, meter: Meter) -> None:
        self.names, self.persistent, self.meter = names, persistent, meter
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def step(self, operation: str, argument: Any) -> None:
        self.meter.step()
        if operation in _LITERALS:
            if isinstance(argument, (str, bytes, bytearray)):
                self.meter.seen += len(argument)
            self.stack.append(argument)
        elif operation in _CONSTANTS:
            self.stack.append(_CONSTANTS[operation])
        elif operation in _NEW:
            self.stack.append(_NEW[operation]())
        elif operation in _TUPLES:
            self.stack[-_TUPLES[operation] :] = [tuple(self._last(_TUPLES[operation]))]
        elif operation not in _OPERATIONS:
            raise RefusedError(f"the operation {operation} of a pickle")
        else:
            _OPERATIONS[operation](self, argument)

    # stack and memo

    def _last(self, n: int) -> list[Any]:
        if len(self.stack) < n:
            raise IndexError("stack underflow")
        return self.stack[-n:]

    def _to_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.marks.pop()
        return items

    def _gather(self, kind: Callable[[list[Any]], Any]) -> None:
        items = self._to_mark()
        self.stack.append(kind(items))

    def _mark(self, _: Any) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def _pop(self, _: Any) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self._to_mark()

    def _put(self, key: Any) -> None:
        self.memo[len(self.memo) if key is None else key] = self._last(1)[0]

    # containers

    def _append(self, _: Any) -> None:
        _a(self._last(2)[0], list).append(self.stack.pop())

    def _appends(self, _: Any) -> None:
        items = self._to_mark()
        _a(self._last(1)[0], list).extend(items)

    def _set_item(self, _: Any) -> None:
        *_, key, value = self._last(3)
        del self.stack[-2:]
        _a(self._last(1)[0], dict)[_key(key)] = value

    def _set_items(self, _: Any) -> None:
        items = self._to_mark()
        _a(self._last(1)[0], dict).update(_pairs(items))

    def _add_items(self, _: Any) -> None:
        items = self._to_mark()
        _a(self._last(1)[0], set).update(map(_key, items))

    # names, calls, states

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self._named(module, name)

    def _stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not isinstance(module, str) or not isinstance(name, str):
            raise RefusedError("a name that is no text")
        self._named(module, name)

    def _named(self, module: str, name: str) -> None:
        found = self.names(module, name)
        if found is None:
            raise RefusedError(f"the name {module[:80]}.{name[:80]}")
        self.stack.append(found)

    def _call(self, _: Any) -> None:
        arguments, what = self.stack.pop(), self.stack.pop()
        if not isinstance(what, Name) or what.make is None:
            called = what.text if isinstance(what, Name) else f"a {type(what).__name__}"
            raise RefusedError(f"a call of {called}")
        for argument in _a(arguments, tuple):
            self._charge(argument)
        self.stack.append(what.make(*arguments))

    def _charge(self, argument: Any) -> None:
        """A call may copy what it is given, and may be given the same again."""
        if isinstance(argument, (str, bytes, bytearray)):
            self.meter.copy(len(argument))
        elif isinstance(argument, (list, tuple, dict, set, frozenset)):
            self.meter.step(len(argument))

    def _build(self, _: Any) -> None:
        state = self.stack.pop()
        target = self._last(1)[0]
        if isinstance(target, Shell):
            target.build(state)
        elif not isinstance(target, dict):  # the attributes of a dict (torch's _metadata) are dropped
            whose = target.text if isinstance(target, Name) else type(target).__name__
            raise RefusedError(f"setting the attributes of {whose}")

    def _persistent(self, _: Any) -> None:
        if self.persistent is None:
            raise RefusedError("a persistent id (data that is kept outside the file)")
        self.stack.append(self.persistent(self.stack.pop()))


def _a(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"a {type(value).__name__} where a {kind.__name__} belongs")
    return value


def _key(key: Any) -> Any:
    if isinstance(key, tuple) and len(key) <= _LONGEST_KEY:
        if all(map(_is_plain, key)):
            return key
    elif _is_plain(key):
        return key
    kind = "number of more than 18 digits" if isinstance(key, int) else type(key).__name__
    raise RefusedError(f"a {kind} as the key of a dict or the member of a set")


def _is_plain(key: Any) -> bool:
    return isinstance(key, _HASHABLE) and not (isinstance(key, int) and abs(key) > _LARGEST_KEY)


def _pairs(items: list[Any]) -> dict[Any, Any]:
    if len(items) % 2:
        raise ValueError("a key without a value")
    return {_key(key): value for key, value in zip(items[::2], items[1::2], strict=True)}


def members(items: Any = ()) -> set[Any]:
    """What ``set`` makes of a list in a pickle."""
    return set(map(_key, _a(items, list)))


def pairs(items: Any = ()) -> dict[Any, Any]:
    """What ``OrderedDict`` makes of a list of pairs in a pickle."""
    return dict(items) if isinstance(items, dict) else {_key(key): value for key, value in items}


def _nothing(machine: _Machine, _: Any) -> None:
    pass


_OPERATIONS: dict[str, Callable[[_Machine, Any], Any]] = {
    "PROTO": _nothing,
    "FRAME": _nothing,
    "STOP": _nothing,
    "MARK": _Machine._mark,
    "POP": _Machine._pop,
    "POP_MARK": lambda m, _: m._to_mark(),
    "DUP": lambda m, _: m.stack.append(m._last(1)[0]),
    "BINPUT": _Machine._put,
    "LONG_BINPUT": _Machine._put,
    "MEMOIZE": _Machine._put,
    "PUT": _Machine._put,
    "BINGET": lambda m, key: m.stack.append(m.memo[key]),
    "LONG_BINGET": lambda m, key: m.stack.append(m.memo[key]),
    "GET": lambda m, key: m.stack.append(m.memo[key]),
    "APPEND": _Machine._append,
    "APPENDS": _Machine._appends,
    "SETITEM": _Machine._set_item,
    "SETITEMS": _Machine._set_items,
    "ADDITEMS": _Machine._add_items,
    "TUPLE": lambda m, _: m._gather(tuple),
    "LIST": lambda m, _: m._gather(list),
    "DICT": lambda m, _: m._gather(_pairs),
    "FROZENSET": lambda m, _: m._gather(members),
    "GLOBAL": _Machine._global,
    "STACK_GLOBAL": _Machine._stack_global,
    "REDUCE": _Machine._call,
    "NEWOBJ": _Machine._call,
    "BUILD": _Machine._build,
    "BINPERSID": _Machine._persistent,
}
