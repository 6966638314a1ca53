"""Thousands of malicious and mutilated files: no code runs, and nothing but a WeightsError comes out."""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from malicious import RUN, SENTINEL, malicious, payloads
from pickle_makers import (
    nvidia_pickle,
    safetensors_file,
    tensorflow_pickle,
    torch_legacy,
    torch_zip,
    torchscript,
)

from toolbox.weights.errors import WeightsError
from toolbox.weights.reading import Weights, read_weights

FUZZ = settings(
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
WHOLE: dict[str, Callable[[], bytes]] = {
    "nvidia": nvidia_pickle,
    "tensorflow": tensorflow_pickle,
    "zip": torch_zip,
    "legacy": torch_legacy,
    "safetensors": safetensors_file,
    "torchscript": torchscript,
}
_tried: set[bytes] = set()
examples = pytest.mark.parametrize("examples", [40, pytest.param(400, marks=pytest.mark.slow)])


class Reader:
    """Reads bytes as a file, and sees to it that nothing happens meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "weights.bin"

    def __call__(self, content: bytes) -> Weights | WeightsError:
        """What the reader makes of a file of this content: its weights, or its one error."""
        _tried.add(content[:4096] + len(content).to_bytes(8, "little") + content[-64:])
        self.path.write_bytes(content)
        loaded, seed = set(sys.modules), torch.initial_seed()
        try:
            found: Weights | WeightsError = read_weights(self.path)
        except WeightsError as error:
            found = error
            if str(self.path) not in str(error) or "\n" in str(error):
                raise AssertionError(f"no clear line: {error}") from error
        assert SENTINEL not in os.environ, "code ran"
        assert not (set(sys.modules) - loaded) & {"antigravity", "this", "webbrowser"}, (
            "a module was imported"
        )
        assert torch.initial_seed() == seed
        return found


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    """A fresh one."""
    assert SENTINEL not in os.environ
    return Reader(tmp_path)


# -- malicious on purpose ------------------------------------------------------------------------------------


def test_malicious_files_are_refused(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every one, with a clear line; what they would run leaves a trace, and there is none."""
    monkeypatch.chdir(reader.path.parent)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        corpus = malicious()
    accepted = [name for name, content in corpus.items() if isinstance(reader(content), Weights)]
    assert sorted(os.listdir(reader.path.parent)) == ["weights.bin"], "a payload touched the disk"
    assert not accepted
    assert len(corpus) > 600


def test_the_payloads_are_real(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Python's own unpickler runs them: else the test above would prove nothing."""
    monkeypatch.chdir(tmp_path)
    for name in ("exec", "eval", "inner load", "twice inner", "object array", "dict", "hook"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with contextlib.suppress(
                RuntimeError
            ):  # torch finds no storage where code was; by then it has run
                pickle.loads(pickle.dumps(payloads()[name]))
        assert os.environ.pop(SENTINEL, None) == "1", name


# -- mutilated by chance -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(WHOLE))
def test_whole_files_are_read(reader: Reader, kind: str) -> None:
    """The files that the tests below mutilate are good ones."""
    assert isinstance(reader(WHOLE[kind]()), Weights)


@pytest.mark.parametrize("kind", list(WHOLE))
def test_truncated_files(reader: Reader, kind: str) -> None:
    """Cut anywhere: an error, except where only a tail that nothing needs is missing."""
    whole = WHOLE[kind]()
    for length in sorted({*range(0, 80, 3), *range(0, len(whole), max(1, len(whole) // 60))}):
        assert isinstance(reader(whole[:length]), WeightsError), length


@examples
@pytest.mark.parametrize("kind", list(WHOLE))
def test_mutated_files(tmp_path: Path, kind: str, examples: int) -> None:
    """Bits flipped, bytes replaced, pieces cut out, doubled and exchanged."""
    whole, reader = WHOLE[kind](), Reader(tmp_path)
    place = st.integers(0, len(whole) - 1)
    edits = st.lists(
        st.tuples(st.sampled_from(["flip", "byte", "cut", "double", "insert"]), place, st.integers(0, 255)),
        min_size=1,
        max_size=4,
    )

    @settings(FUZZ, max_examples=examples)
    @given(edits)
    def check(changes: list[tuple[str, int, int]]) -> None:
        content = bytearray(whole)
        for how, where, value in changes:
            _change(content, how, where, value)
        reader(bytes(content))

    check()


def _change(content: bytearray, how: str, where: int, value: int) -> None:
    where = min(where, max(0, len(content) - 1))
    if how == "flip" and content:
        content[where] ^= 1 << value % 8
    elif how == "byte" and content:
        content[where] = value
    elif how == "cut":
        del content[where : where + value + 1]
    elif how == "double":
        content[where:where] = content[where : where + value + 1]
    else:
        content[where:where] = bytes([value])


@examples
def test_invented_pickles(tmp_path: Path, examples: int) -> None:
    """Opcodes in any order, after the header of a pickle."""
    reader = Reader(tmp_path)
    opcodes = b"]})(aesutRb012N\x85\x86\x81\x88\x94\x8f\x90\x91dlo\x93Q\x92"
    words = [bytes([opcode]) for opcode in opcodes]
    words += [b"h\x00", b"q\x00", b"K\x01", b"X\x01\x00\x00\x00a", b"X\x02\x00\x00\x00f4", b"C\x02ab"]
    words += [
        b"ccollections\nOrderedDict\n",
        b"cnumpy\ndtype\n",
        b"cbuiltins\nset\n",
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n",
        b"cdnnlib.tflib.network\nNetwork\n",
        b"ctorch.storage\n_load_from_bytes\n",
        b"cnumpy.core.multiarray\n_reconstruct\n",
        b"cnumpy.core.multiarray\nscalar\n",
        b"cbuiltins\nexec\n",
        b"X" + struct.pack("<I", len(RUN)) + RUN.encode(),
    ]

    @settings(FUZZ, max_examples=3 * examples)
    @given(st.lists(st.sampled_from(words), max_size=30), st.sampled_from([2, 3, 4, 5]))
    def check(program: list[bytes], protocol: int) -> None:
        reader(bytes([0x80, protocol]) + b"".join(program) + b".")

    check()


@examples
def test_invented_files(tmp_path: Path, examples: int) -> None:
    """Any bytes behind any beginning that is recognised."""
    reader = Reader(tmp_path)
    heads = st.sampled_from(
        [
            b"",
            b"PK\x03\x04",
            b"\x80\x02",
            b"\x80\x04\x95",
            b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
            b"<html>",
            b"\x1f\x8b",
        ]
    )

    @settings(FUZZ, max_examples=examples)
    @given(heads, st.binary(max_size=200))
    def check(head: bytes, rest: bytes) -> None:
        reader(head + rest)

    check()


@examples
def test_invented_headers_of_safetensors(tmp_path: Path, examples: int) -> None:
    """JSON of any shape, any offsets, any length before it."""
    reader = Reader(tmp_path)
    number = st.integers(-2, 2**63)
    tensor = st.fixed_dictionaries(
        dict(
            dtype=st.sampled_from(["F32", "I64", "F8_E4M3", "BOOL", "X"]),
            shape=st.lists(number, max_size=3),
            data_offsets=st.lists(st.integers(-1, 40), min_size=1, max_size=3),
        )
    )
    header = st.dictionaries(
        st.sampled_from(["a", "b", "__metadata__", "\0", ""]),
        st.one_of(tensor, st.none(), st.text(max_size=3)),
    )

    @settings(FUZZ, max_examples=examples)
    @given(header, st.integers(-3, 3), st.binary(max_size=48))
    def check(content: dict[str, Any], off: int, data: bytes) -> None:
        import json

        text = json.dumps(content).encode()
        reader(struct.pack("<Q", max(0, len(text) + off)) + text + data)

    check()


# -- what is no file of weights at all -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(WHOLE))
def test_the_suffix_does_not_matter(tmp_path: Path, kind: str) -> None:
    """A file is what it holds, not what it is called."""
    expected = Reader(tmp_path)(WHOLE[kind]())
    for suffix in (".pth", ".pkl", ".safetensors", ".txt", ""):
        path = tmp_path / f"x{suffix}"
        path.write_bytes(WHOLE[kind]())
        found = read_weights(path)
        assert isinstance(expected, Weights) and (found.format, list(found.tensors)) == (
            expected.format,
            list(expected.tensors),
        )


def test_other_things_than_files(tmp_path: Path) -> None:
    """Folders, loops of links, pipes, missing and unreadable files, other formats: each its own line."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    (tmp_path / "weights.pth").write_bytes(torch_zip())
    (tmp_path / "page").write_text("<!DOCTYPE html><html>")
    (tmp_path / "pointer").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\n")
    np.savez(tmp_path / "arrays.npz", a=np.ones(3))
    cases = {
        "loop": "cannot be opened|does not exist",
        "dangling": "does not exist",
        "pipe": "is no regular file",
        ".": "is a folder",
        "empty": "is empty",
        "wieghts.pth": "does not exist - did you mean 'weights.pth'",
        "page": "a web page: the download failed",
        "pointer": "git-lfs pointer",
        "arrays.npz": "none of torch's",
        "x\0y": "cannot be opened|torn|does not exist",
    }
    for name, message in cases.items():
        with pytest.raises(WeightsError, match=message) as error:
            read_weights(tmp_path / name)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("inputs", [1000, pytest.param(2000, marks=pytest.mark.slow)])
def test_so_many_inputs_were_tried(inputs: int) -> None:
    """The last test of the module counts what the ones above tried (run alone, it counts nothing)."""
    assert not _tried or len(_tried) >= inputs or os.environ.get("PYTEST_XDIST_WORKER")
    print(f"{len(_tried)} inputs")  # noqa: T201 - shown with -s
