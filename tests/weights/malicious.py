"""Files with bad intentions: what they would run sets an environment variable or touches the disk."""

from __future__ import annotations

import io
import os
import pickle
import struct
import sys
import zipfile
from typing import Any

import numpy as np
import torch
from pickle_makers import nvidia_modules, torch_zip

SENTINEL = "TOOLBOX_FUZZ_RAN"
RUN = f"import os; os.environ[{SENTINEL!r}] = '1'"


class Call:
    """Calls something when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any, state: Any = None) -> None:
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self) -> Any:
        return self.parts


def named(module: str, name: str, *then: bytes) -> bytes:
    """A pickle that starts with STACK_GLOBAL of any two texts."""

    def text(value: str) -> bytes:
        raw = value.encode()
        return b"X" + struct.pack("<I", len(raw)) + raw

    return b"\x80\x04" + text(module) + text(name) + b"\x93" + b"".join(then) + b"."


def old_style(module: str, name: str, argument: str) -> bytes:
    """GLOBAL, a text, TUPLE1, REDUCE."""
    text = b"X" + struct.pack("<I", len(argument)) + argument.encode()
    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + text + b"\x85R."


def legacy_bytes(content: Any) -> bytes:
    """A torch file from before 1.6 of anything."""
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def persistent(meta: dict[str, Any], protocol: int = 4) -> bytes:
    """NVIDIA's reduce of any meta."""
    with nvidia_modules():
        reconstruct = sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj
        return pickle.dumps(Call(reconstruct, meta), protocol)


def payloads() -> dict[str, Any]:
    """Objects that run code when they are unpickled by Python."""
    import builtins
    import functools
    import operator
    import runpy
    import shutil
    import subprocess

    return {
        "exec": Call(builtins.exec, RUN),
        "eval": Call(builtins.eval, f"exec({RUN!r})"),
        "putenv": Call(os.putenv, SENTINEL, "1"),
        "mkdir": Call(os.mkdir, "ran"),
        "system": Call(os.system, "touch ran"),
        "popen": Call(subprocess.Popen, ["touch", "ran"]),
        "compile": Call(builtins.compile, RUN, "x", "exec"),
        "import": Call(builtins.__import__, "antigravity"),
        "getattr": Call(builtins.getattr, "", "join"),
        "partial": Call(functools.partial, builtins.exec, RUN),
        "attrgetter": Call(operator.attrgetter, "__class__"),
        "methodcaller": Call(operator.methodcaller, "__reduce__"),
        "run_path": Call(runpy.run_path, "x.py"),
        "rmtree": Call(shutil.rmtree, "/nonexistent/folder"),
        "open": Call(builtins.open, "ran", "w"),
        "setstate": Call(torch.Generator, state={"__setstate__": 1}),
        "load": Call(torch.load, "x.pth"),
        "inner load": Call(torch.storage._load_from_bytes, legacy_bytes(Call(builtins.exec, RUN))),
        "inner pickle": Call(torch.storage._load_from_bytes, pickle.dumps(Call(builtins.exec, RUN))),
        "twice inner": Call(
            torch.storage._load_from_bytes,
            legacy_bytes(Call(torch.storage._load_from_bytes, legacy_bytes(Call(builtins.exec, RUN)))),
        ),
        "inner zip": Call(torch.storage._load_from_bytes, torch_zip(dict(a=Call(builtins.exec, RUN)))),
        "object array": np.array([Call(builtins.exec, RUN), None], dtype=object),
        "structured array": np.zeros(2, dtype=[("a", "O")]),
        "class": Call,
        "function": os.system,
        "hook": Call(torch._utils._rebuild_parameter, torch.ones(2), True, {"x": Call(builtins.exec, RUN)}),
        "dict": dict(a=[1, dict(b=(2, Call(builtins.exec, RUN)))]),
        "key": {("a", "b"): 1},
    }


def malicious() -> dict[str, bytes]:
    """Files with bad intentions, by name."""
    found: dict[str, bytes] = {}
    for name, payload in payloads().items():
        wraps = {
            "": payload,
            " in dict": dict(G_ema=payload, x=torch.ones(2)),
            " in list": [torch.ones(2), payload],
        }
        for wrap, content in wraps.items():
            for protocol in (2, 3, 4, 5):
                found[f"{name}{wrap}, pickle {protocol}"] = pickle.dumps(content, protocol)
            found[f"{name}{wrap}, zip"] = torch_zip(content)
            found[f"{name}{wrap}, legacy"] = legacy_bytes(content)
        if name == "key":  # plain data in an attribute that nobody reads harm nothing
            continue
        state = dict(_parameters={}, _buffers={"x": torch.ones(1)}, _modules={}, trick=payload)
        found[f"{name} in a network"] = persistent(
            dict(type="class", version=6, module_src=RUN, class_name="G", state=state)
        )
    source = dict(type="class", version=6, module_src=RUN, class_name="os.system", state={})
    function = dict(type="function", version=6, module_src=RUN, class_name="x", state={})
    found |= odd_names()
    found["source only"] = persistent(source)
    found["no class"] = persistent(function)
    found["no state"] = persistent(dict(type="class", module_src=RUN, class_name="x"))
    return found | bombs()


def odd_names() -> dict[str, bytes]:
    """Names that reach further than they look, and opcodes that do."""
    dotted = [
        ("torch.storage", "_load_from_bytes.__globals__"),
        ("torch", "storage._load_from_bytes"),
        ("torch._utils", "torch.load"),
        ("torch_utils.persistence", "_reconstruct_persistent_obj.__globals__"),
        ("collections", "OrderedDict.__init__"),
        ("collections", "OrderedDict.__class__.__subclasses__"),
        ("numpy", "dtype.__reduce__"),
        ("", ""),
        ("os", "system"),
        ("numpy.core.multiarray", "_reconstruct.__self__"),
        ("builtins", "set.__class__"),
        ("toolbox_fuzz", "x"),
        ("this", "s"),
        ("torch", "FloatStorage"),
        ("torch", "float32"),
        ("dnnlib.util", "EasyDict.__getattr__"),
        ("os\nos", "system"),
        ("builtins", "getattr"),
        ("builtins", "globals"),
        ("__main__", "__builtins__"),
        ("torch.serialization", "load"),
        ("numpy.testing._private.utils", "runstring"),
        ("torch.utils.collect_env", "run"),
        ("codecs", "encode"),
    ]
    ends = {
        "": (b"",),
        "called": (b")R",),
        "made": (b")\x81",),
        "built": (b"}b",),
        "stored": (b"\x94", b"h\x00", b")R"),
        "obj": (b"(", b"o"),
    }
    found = {f"{m}|{n} {how}": named(m, n, *end) for m, n in dotted for how, end in ends.items()}
    found |= {f"old {m}|{n}": old_style(m, n, RUN) for m, n in dotted}
    found |= {
        "ext1": b"\x80\x02\x82\x01.",
        "ext2": b"\x80\x02\x83\x01\x00.",
        "ext4": b"\x80\x02\x84\x01\x00\x00\x00.",
        "inst": b"\x80\x02(ios\nsystem\n.",
        "persid": b"\x80\x02Px\n.",
        "binpersid": b"\x80\x02X\x01\x00\x00\x00xQ.",
        "buffer": b"\x80\x05\x97.",
        "list key": b"\x80\x02}]K\x01s.",
        "memo of a name": b"\x80\x02cbuiltins\nset\nq\x00h\x00(X\x01\x00\x00\x00ad\x86R.",
        "state of a name": b"\x80\x02cbuiltins\nset\n}X\x04\x00\x00\x00makeK\x01sb.",
        "state of a list": b"\x80\x02]}b.",
    }
    return found


def bombs() -> dict[str, bytes]:
    """Small files that ask for much."""
    huge = struct.pack("<q", 2**40)
    nested = b"\x80\x04" + b"]" * 200_000 + b"a" * 199_999 + b"."
    laughs = (
        b"\x80\x04K\x01\x94"
        + b"".join(b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86\x94" for i in range(60))
        + b"."
    )
    header = b'{"a":{"dtype":"F32","shape":[1099511627776],"data_offsets":[0,4]}}'
    overlap = (
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},'
        b'"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    )
    stretched = torch.ones(1).expand(2**40)
    deflated = io.BytesIO()
    with (
        zipfile.ZipFile(deflated, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x/data.pkl", "w") as part,
    ):
        for _ in range(260):
            part.write(bytes(2**20))
    return {
        "long bytes": b"\x80\x04\x8e" + huge + b"x.",
        "long text": b"\x80\x04\x8d" + huge + b"x.",
        "long array": b"\x80\x05\x96" + huge + b"x.",
        "long int": b"\x80\x02\x8b\xff\xff\xff\x7fx.",
        "memo": b"\x80\x02]r\xff\xff\xff\x7f.",
        "frame": b"\x80\x04\x95" + huge + b"N.",
        "nested": nested,
        "laughs": laughs,
        "laughs as key": laughs[:-1].replace(b"\x80\x04", b"\x80\x04}") + b"Ns.",
        "laughs as member": laughs[:-1].replace(b"\x80\x04", b"\x80\x04\x8f(") + b"\x90.",
        "steps": b"\x80\x04" + b"N0" * 3_000_000 + b"N.",
        "marks": b"\x80\x04" + b"(" * 500_000 + b".",
        "header length": struct.pack("<Q", 2**63) + b"{}",
        "header": struct.pack("<Q", len(header)) + header + bytes(4),
        "overlap": struct.pack("<Q", len(overlap)) + overlap + bytes(4),
        "deep header": struct.pack("<Q", 200_000) + b'{"a":' * 40_000,
        "stretched zip": torch_zip(dict(a=stretched)),
        "stretched legacy": legacy_bytes(dict(a=stretched)),
        "stretched pickle": pickle.dumps(dict(a=stretched)),
        "deflated": deflated.getvalue(),
        "cycle": b"\x80\x04}\x94X\x01\x00\x00\x00ah\x00s.",
        "tensor too large": pickle.dumps(
            Call(torch._utils._rebuild_tensor_v2, torch.ones(2).storage(), 0, (2**40,), (0,), False, {})
        ),
        "tensor outside": pickle.dumps(
            dict(a=Call(torch._utils._rebuild_tensor_v2, torch.ones(2).storage(), 1, (2,), (1,), False, {}))
        ),
        "negative": pickle.dumps(
            dict(a=Call(torch._utils._rebuild_tensor_v2, torch.ones(2).storage(), -1, (2,), (1,), False, {}))
        ),
    }
