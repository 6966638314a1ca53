"""Small files that ask for much: of weights, cards and published layouts; written when they are tried."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pickle_makers import (
    EasyDict,
    Persistent,
    TFNetwork,
    nvidia_pickle,
    safetensors_file,
    torch_legacy,
    torch_zip,
    torchscript,
)

#: Name -> the bytes of one file.
Files = dict[str, Callable[[], bytes]]
P61 = 2**61 - 1  # numbers that differ by it have the same hash


def text(value: str) -> bytes:
    """BINUNICODE."""
    raw = value.encode()
    return b"X" + struct.pack("<I", len(raw)) + raw


def whole(number: int) -> bytes:
    """LONG1."""
    raw = number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(raw)]) + raw


def doubled(pair: str, levels: int = 60) -> bytes:
    """Each level holds the one before twice; the last is on the stack."""
    start, end = dict(list=(b"](", b"e"), tuple=(b"", b"\x86"), dict=(b"}(", b"u"))[pair]
    keys = (text("a"), text("b")) if pair == "dict" else (b"", b"")
    return b"N\x94" + b"".join(
        b"0" + start + keys[0] + b"h" + bytes([i]) + keys[1] + b"h" + bytes([i]) + end + b"\x94"
        for i in range(levels)
    )


def name_of(module: str, name: str) -> bytes:
    """GLOBAL."""
    return b"c" + f"{module}\n{name}\n".encode()


def bodies() -> dict[str, bytes]:
    """Programs of a pickle, between its header and its end."""
    ordered, made = name_of("collections", "OrderedDict"), name_of("builtins", "set")
    colliding = b"".join(whole(i * P61) + b"N" for i in range(1, 60_000))
    encode, codec = name_of("_codecs", "encode"), text("hex")
    laughs = doubled("tuple")
    long = text("k" * 100_000)
    storage = text("storage") + name_of("torch", "FloatStorage") + text("0") + text("cpu")
    rebuild = name_of("torch._utils", "_rebuild_tensor_v2")
    by_type = name_of("torch._tensor", "_rebuild_from_type_v2")

    def tensor(numel: int, size: bytes, stride: bytes) -> bytes:
        return (
            rebuild
            + b"("
            + b"("
            + storage
            + whole(numel)
            + b"tQK\x00"
            + size
            + stride
            + b"\x89"
            + ordered
            + b")RtR"
        )

    return {
        **{f"laughs of {kind}": doubled(kind) for kind in ("list", "tuple", "dict")},
        "laughs as key": b"}" + laughs + b"Ns",
        "laughs as member": b"\x8f(" + laughs + b"\x90",
        "laughs in OrderedDict": ordered + b"]](" + laughs + b"Nea\x85R",
        "laughs in set": made + b"](" + laughs + b"e\x85R",
        "laughs in Counter": name_of("collections", "Counter") + b"](" + laughs + b"e\x85R",
        "laughs by type": by_type + b"(" + made + made + b"](" + laughs + b"e\x85}tR",
        "laughs as a tensor": name_of("torch", "Tensor") + doubled("list", 33) + b"\x85R",
        "laughs as a size": name_of("torch", "Size") + laughs + b"\x85R",
        "laughs as a storage": name_of("torch", "FloatStorage") + laughs + b"\x85R",
        "laughs as a state": ordered + b")R" + laughs + b"b",
        "colliding keys": b"}(" + colliding + b"u",
        "colliding members": b"\x8f(" + colliding + b"\x90",
        "colliding in a set": made + b"](" + colliding + b"e\x85R",
        "steps": b"N0" * 3_000_000 + b"N",
        "pushes": b"N" * 3_000_000,
        "marks": b"(" * 1_500_000 + b"N",
        "lists in lists": b"]" * 400_000 + b"a" * 399_999,
        "tuples in tuples": b")" + b"\x85" * 900_000,
        "dicts in dicts": (b"}" + text("a")) * 200_000 + b"N" + b"s" * 200_000,
        "copies of a dict": b"}("
        + b"".join(whole(i) + b"N" for i in range(50_000))
        + b"uq\x00"
        + b"]("
        + (ordered + b"h\x00\x85R") * 50_000
        + b"e",
        "copies of bytes": b"B"
        + struct.pack("<I", 2**22)
        + bytes(2**22)
        + b"q\x000("
        + (name_of("builtins", "bytearray") + b"h\x00\x85R") * 20_000
        + b"t",
        "copies of copies": b"C\x04abcdq\x00](" + name_of("builtins", "bytearray") * 2 + b"h\x00\x85R\x85Re",
        "bytes by hex": b"C\x04abcd".join([(encode + b"") * 40, (codec + b"\x86R") * 40]),
        "texts by latin1": text("x" * 2**20)
        + b"q\x000("
        + (encode + b"h\x00" + text("latin1") + b"\x86R") * 30_000
        + b"t",
        "a long int": b"\x8b" + struct.pack("<i", 2**24) + b"\x7f" * 2**24,
        "a long int as key": b"}" + b"\x8b" + struct.pack("<i", 2**20) + b"\x7f" * 2**20 + b"Ns",
        "digits": b"L" + b"9" * 200_000 + b"L\n",
        "a bytearray of 2^40": name_of("builtins", "bytearray") + whole(2**40) + b"\x85R",
        "bytearrays": b"(" + (name_of("builtins", "bytearray") + b"J\x00\x00\x10\x00\x85R") * 40_000 + b"t",
        "a storage of 2^33": name_of("torch", "FloatStorage") + whole(2**33) + b"\x85R",
        "a tensor of 2^32": name_of("torch", "Tensor") + whole(2**20) + whole(2**12) + b"\x86\x81",
        "a stretched tensor": tensor(1, whole(2**33) + b"\x85", b"K\x00\x85"),
        "a stretched copy": name_of("torch._utils", "_rebuild_device_tensor_from_cpu_tensor")
        + b"("
        + tensor(1, whole(2**33) + b"\x85", b"K\x00\x85")
        + name_of("torch", "float64")
        + text("cpu")
        + b"\x89tR",
        "a declared tensor": tensor(2**40, whole(2**40) + b"\x85", b"K\x01\x85"),
        "many axes": tensor(1, b"(" + b"K\x01" * 300_000 + b"t", b"(" + b"K\x01" * 300_000 + b"t"),
        "a negative storage": tensor(-(2**40), b"K\x01\x85", b"K\x01\x85"),
        "long names": (b"}" + long) * 60 + b"N" + b"s" * 60,
        "one text often": text("x" * 10_000) + b"q\x000](" + b"h\x00" * 200_000 + b"e",
        "one list often": b"](" + b"N" * 1000 + b"eq\x000](" + b"h\x00" * 200_000 + b"e",
        "many values": b"](" + b"K\x01" * 900_000 + b"e",
        "many keys": b"}(" + b"".join(whole(i) + b"N" for i in range(400_000)) + b"u",
        "a large memo": b"]r\xff\xff\xff\x7f",
        "a cycle": b"]q\x00h\x00a",
        "a cycle of dicts": b"}q\x00" + text("a") + b"h\x00s",
        "itself as key": b"]q\x00}h\x00Ns",
        "an endless line": b"c" + b"a" * 2**24,
        "names": b"](" + b"".join(name_of("torch", f"x{i}") for i in range(100_000)) + b"e",
    }


def in_pickle(body: bytes) -> bytes:
    """As a pickle."""
    return b"\x80\x04" + body + b"."


def in_zip(body: bytes, packed: bool = False) -> bytes:
    """As the ``data.pkl`` of an archive of torch."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as archive:
        for name, content in (
            ("data.pkl", b"\x80\x02" + body + b"."),
            ("byteorder", b"little"),
            ("data/0", bytes(4)),
        ):
            archive.writestr(zipfile.ZipInfo(f"x/{name}"), content, archive.compression)
        archive.writestr(zipfile.ZipInfo("x/version"), b"3\n")
    raw = bytearray(file.getvalue())
    return bytes(raw)


def in_script(body: bytes) -> bytes:
    """As a TorchScript archive."""
    source, target = io.BytesIO(torchscript()), io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            content = b"\x80\x02" + body + b"." if entry.filename.endswith("/data.pkl") else old.read(entry)
            new.writestr(zipfile.ZipInfo(entry.filename), content)
    return target.getvalue()


def in_legacy(body: bytes) -> bytes:
    """As a file of torch before 1.6."""
    start = torch_legacy(1)
    place = start.index(b"\x80\x02K\x01.")
    return start[:place] + b"\x80\x02" + body + b"." + b"\x80\x02]."


def in_file_in_pickle(body: bytes) -> bytes:
    """As the data of a tensor in a network pickle."""
    raw = in_legacy(body)
    call = name_of("torch.storage", "_load_from_bytes")
    return in_pickle(b"}" + text("a") + call + b"B" + struct.pack("<I", len(raw)) + raw + b"\x85Rs")


WRAPS = dict(pickle=in_pickle, zip=in_zip, legacy=in_legacy, script=in_script, inner=in_file_in_pickle)


def pickles() -> Files:
    """Every program in every place that pickles come in."""
    found: Files = {}
    for name, body in bodies().items():
        for place, wrap in WRAPS.items():
            found[f"{name}, {place}"] = lambda wrap=wrap, body=body: wrap(body)
    return found


# -- networks ------------------------------------------------------------------------------------------------


def _tower(levels: int, width: int = 2) -> Persistent:
    made = Persistent("Leaf")
    for _ in range(levels):
        outer = Persistent("Block")
        outer.__dict__["_modules"] = {f"m{i}": made for i in range(width)}
        made = outer
    return made


def _components(levels: int) -> TFNetwork:
    made = TFNetwork("leaf", [])
    for _ in range(levels):
        made = TFNetwork("block", [], a=made, b=made)
    return made


def _cycle() -> Persistent:
    made = Persistent("Block")
    made.__dict__["_modules"] = {"a": made, "b": made}
    return made


def _with(**entries: Any) -> Persistent:
    made = Persistent("Generator")
    made.__dict__.update(entries)
    return made


def networks() -> Files:
    """Network pickles."""
    one = torch.nn.Parameter(torch.ones(2**18))
    array = np.ones(2**18, np.float32)
    laughs: Any = ()
    for _ in range(60):
        laughs = (laughs, laughs)
    lists: Any = []
    for _ in range(60):
        lists = [lists, lists]
    made: dict[str, Any] = {
        "modules twice each": lambda: _tower(60),
        "modules thrice each": lambda: _tower(40, 3),
        "modules in a circle": _cycle,
        "modules in each other": lambda: _tower(120, 1),
        "modules side by side": lambda: _tower(1, 50_000),
        "modules of two levels": lambda: _tower(2, 700),
        "components twice each": lambda: _components(60),
        "components of pairs": lambda: (_components(60),) * 3,
        "one tensor of many names": lambda: _with(_parameters={f"p{i}": one for i in range(50_000)}),
        "one array of many names": lambda: TFNetwork("G", [(f"v{i}", array) for i in range(20_000)]),
        "one network often": lambda: [_tower(3, 20)] * 10_000,
        "laughs as arguments": lambda: _with(_init_kwargs=EasyDict(a=laughs)),
        "lists as arguments": lambda: _with(_init_args=lists),
        "laughs as parameters": lambda: _with(_parameters=lists),
        "laughs as a parameter": lambda: _with(_parameters={"a": lists}),
        "laughs as a module": lambda: _with(_modules={"a": lists}),
        "laughs as variables": lambda: TFNetwork("G", lists),
        "laughs as a name": lambda: TFNetwork("G", [(lists, 1.0)]),
        "a long name": lambda: _with(_parameters={"x" * 10**6: one}),
        "an endless number": lambda: TFNetwork("G", [("a", 10**3000)]),
        "a large set": lambda: _with(_non_persistent_buffers_set=set(range(200_000))),
        "a long class": lambda: Persistent("G" * 10**6),
    }

    def content(make: Callable[[], Any]) -> Callable[[], bytes]:
        return lambda: _written_deeply(make())

    return {name: content(make) for name, make in made.items()}


def _written_deeply(content: Any) -> bytes:
    """Python's own pickler nests as deep as the content, under whatever calls it."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + 10_000)
    try:
        return nvidia_pickle(content)
    finally:
        sys.setrecursionlimit(before)


# -- archives and safetensors --------------------------------------------------------------------------------


def _archive(entries: Iterator[tuple[str, bytes]], packed: bool) -> bytes:
    file = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", method) as archive:
        warnings.simplefilter("ignore")
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()


def _code(line: str, times: int) -> bytes:
    source, target = io.BytesIO(torchscript()), io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            content = (line * times).encode() if entry.filename.endswith(".py") else old.read(entry)
            new.writestr(zipfile.ZipInfo(entry.filename), content, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def _declared_entry(size: int) -> bytes:
    raw = bytearray(torch_zip())
    place = raw.rindex(b"PK\x01\x02")
    raw[place + 24 : place + 28] = struct.pack("<I", size)
    return bytes(raw)


def archives() -> Files:
    """Zip files."""

    def content() -> bytes:
        return b"\x80\x02]."

    return {
        "a list of 200 MB": lambda: in_zip(b"](" + b"N" * (200 * 2**20) + b"e", packed=True),
        "a list of 60 MB": lambda: in_zip(b"](" + b"N" * (60 * 2**20) + b"e", packed=True),
        "a text of 60 MB": lambda: in_zip(b"]" + text("x" * (60 * 2**20)) + b"a", packed=True),
        "bytes of 200 MB": lambda: in_zip(
            b"]B" + struct.pack("<I", 200 * 2**20) + bytes(200 * 2**20) + b"a", True
        ),
        "data of 200 MB": lambda: _archive(
            iter([("x/data.pkl", content()), ("x/data/0", bytes(200 * 2**20))]), True
        ),
        "200,000 entries": lambda: _archive(((f"x/{i}", b"") for i in range(200_000)), False),
        "30,000 entries": lambda: _archive(((f"x/{i}", b"") for i in range(30_000)), False),
        "long entries": lambda: _archive(((f"x/{i}" + "n" * 60_000, b"") for i in range(600)), False),
        "one name": lambda: _archive((("x/data.pkl", content()) for _ in range(1000)), False),
        "no data.pkl": lambda: _archive(iter([("x/a", b"")]), False),
        "two data.pkl": lambda: _archive(iter([("x/data.pkl", content()), ("y/data.pkl", content())]), False),
        "an entry of 3 GB": lambda: _declared_entry(3 * 2**30),
        "an entry of 4 GB": lambda: _declared_entry(2**32 - 1),
        "a script of 260 MB": lambda: _code("class Scripted(Module):\n", 10_000_000),
        "a script of 60 MB": lambda: _code("class Scripted(Module):\n  __parameters__ = [", 1_000_000),
        "a script on one line": lambda: _code('class Scripted(Module): __parameters__ = ["a', 1_000_000),
        "a script of blanks": lambda: _code("class Scripted(Module):" + " " * 1000, 10_000),
    }


def _header(content: Any, data: bytes = b"", length: int | None = None) -> bytes:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data


def tensors() -> Files:
    """safetensors."""

    def one(shape: list[int], end: int = 4, start: int = 0, dtype: str = "F32") -> dict[str, Any]:
        return dict(a=dict(dtype=dtype, shape=shape, data_offsets=[start, end]))

    def many(n: int, size: int) -> dict[str, Any]:
        return {f"t{i}" + "x" * size: dict(dtype="F32", shape=[0], data_offsets=[0, 0]) for i in range(n)}

    return {
        "2^40 numbers": lambda: _header(one([2**40]), bytes(4)),
        "2^62 squared": lambda: _header(one([2**62, 2**62]), bytes(4)),
        "an empty 2^40": lambda: _header(one([2**40, 0], 0)),
        "a negative start": lambda: _header(one([1], 4, -4), bytes(4)),
        "an end of 2^63": lambda: _header(one([1], 2**63), bytes(4)),
        "a length of 2^63": lambda: _header(b"{}", length=2**63),
        "a length of 2^62": lambda: _header(b"{}" + b" " * 100, length=2**62),
        "a header of 90 MB": lambda: _header(b'{"a":' + b" " * (90 * 2**20) + b"1}"),
        "300,000 tensors": lambda: _header(many(300_000, 0)),
        "150,000 tensors": lambda: _header(many(150_000, 0)),
        "long names": lambda: _header(many(50, 200_000)),
        "deep": lambda: _header(b'{"a":' * 40_000 + b"1" + b"}" * 40_000),
        "deep lists": lambda: _header(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "digits": lambda: _header(
            b'{"a":{"dtype":"F32","shape":[' + b"9" * 10_000 + b'],"data_offsets":[0,4]}}', bytes(4)
        ),
        "1e999": lambda: _header(b'{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,4]}}', bytes(4)),
        "latin1": lambda: _header(b'{"\xe4":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
        "half a character": lambda: _header(
            b'{"\\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', bytes(4)
        ),
        "a name twice": lambda: _header(
            b'{"a":' + b'{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":' * 2 + b"1}", bytes(4)
        ),
        "metadata of 15 MB": lambda: _header({"__metadata__": {"a": "x" * (15 * 2**20)}}),
        "many axes": lambda: _header(one([1] * 100_000), bytes(4)),
        "an unknown type": lambda: _header(one([1], dtype="F33"), bytes(4)),
        "no numbers": lambda: _header({}),
        "control characters": lambda: _header(
            {"\x1b[2J\n": dict(dtype="X", shape=[1], data_offsets=[0, 4])}, bytes(4)
        ),
    }


def all_files() -> Files:
    """Everything that is one file of weights."""
    groups = dict(network=networks, archive=archives, safetensors=tensors)
    found = pickles()
    for group, make in groups.items():
        found |= {f"{group}: {name}": write for name, write in make().items()}
    return found


# -- files with a description --------------------------------------------------------------------------------

#: What an argument of a constructor may be instead of what it should be.
VALUES: tuple[Any, ...] = (
    2**20,
    2**31,
    2**40,
    10**290,
    -1,
    0,
    1e308,
    "x",
    "x" * 100_000,
    None,
    [],
    [[1] * 1000] * 100,
    {"type": "os.system"},
)


def write_card(folder: Path, card: Any, weights: bytes | None = None) -> Path:
    """A safetensors file, and its card: a dict gets the digest, anything else is written as it is."""
    path = folder / "x.safetensors"
    path.write_bytes(safetensors_file() if weights is None else weights)
    if isinstance(card, dict):
        card = {**card, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        card = json.dumps(card).encode()
    path.with_suffix(".json").write_bytes(card)
    return path


RAW_CARDS: dict[str, bytes] = {
    "not utf-8": '{"kind": "Größe"}'.encode("latin1"),
    "utf-16": '{"kind": "x"}'.encode("utf-16"),
    "nested lists": b"[" * 1_000_000,
    "nested dicts": b'{"a":' * 500_000,
    "nested whole": b'{"a":' * 900 + b"1" + b"}" * 900,
    "digits": b'{"sha256": ' + b"9" * 10_000 + b"}",
    "digits of a float": b'{"sha256": 1.' + b"9" * 1_000_000 + b"}",
    "1e999": b'{"kind": "release", "iteration": 1e999}',
    "NaN": b'{"kind": NaN}',
    "empty": b"",
    "a list": b"[]",
    "null": b"null",
    "blanks": b" " * 10_000_000,
    "20 MB": b'{"a": "' + b"x" * 20_000_000 + b'"}',
    "zeros": bytes(1000),
    "control characters": b'{"sha256": "\\u001b[2J\\n\\r"}',
    "half a character": b'{"kind": "release", "networks": ["\\ud800"]}',
    "torn": b'{"kind": "rel',
    "many keys": b"{" + b",".join(b'"%d":1' % i for i in range(800_000)) + b"}",
}
