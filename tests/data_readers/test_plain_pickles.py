"""Pickles of plain data: of Python 2 and 3, they are read; whatever else one holds is refused, not run."""

from __future__ import annotations

import pickle
import struct

import pytest
from caption_makers import python2_pickle

from toolbox.data.base import DataError
from toolbox.data.pickles import load_plain
from toolbox.weights.errors import WeightsError
from toolbox.weights.pickles import RefusedError
from toolbox.weights.plain_pickles import MOST_BYTES, MOST_LISTS, read_plain

PLAIN = [
    [[1, 300, 70_000, -5], [], list(range(300))],
    {i: f"word {i}" for i in range(300)},
    {f"it's \xe9 {i}": i for i in range(3)},
]


@pytest.mark.parametrize("protocol", [0, 2])
def test_pickles_of_python_2_are_read(protocol):
    assert read_plain(python2_pickle(PLAIN, protocol)) == PLAIN


@pytest.mark.parametrize("protocol", range(6))
def test_pickles_of_python_3_are_read(protocol):
    value = [*PLAIN, None, True, False, 1.5, "ü" * 300, "x" * 70_000]
    assert read_plain(pickle.dumps(value, protocol)) == value


def test_what_follows_the_end_is_not_read():
    assert read_plain(pickle.dumps([1], 2) + b"cos\nsystem\n") == [1]


class Call:
    def __reduce__(self):
        return print, ("it ran",)


MALICIOUS = {
    "a call": pickle.dumps(Call(), 2),
    "a call in a list": pickle.dumps([[1], Call()], 0),
    "a name": pickle.dumps(print, 0),
    "a name on the stack": pickle.dumps(print, 4),
    "an instance": b"(ios\nsystem\n.",
    "an object": b"(cos\nsystem\no.",
    "a state": b"]}b.",
    "an extension": b"\x82\x01.",
    "a persistent id": b"K\x01Q.",
    "a persistent id of protocol 0": b"Pabc\n.",
    "a name in a text that is not one": b"X\x01\x00\x00\x00acos\nsystem\n(tR.",
    "a tuple": b"K\x01\x85.",
    "tuples in tuples": b"K\x01" + b"2\x86" * 60 + b"}s.",
    "a buffer outside": b"\x97.",
    "bytes of 2**62": b"\x8e" + struct.pack("<Q", 2**62) + b".",
}


@pytest.mark.parametrize("name", MALICIOUS)
def test_whatever_is_not_plain_is_refused(name, capsys):
    with pytest.raises(RefusedError, match=r"the operation [A-Z]") as refused:
        read_plain(MALICIOUS[name])
    assert "\n" not in str(refused.value) and capsys.readouterr().out == ""


def test_more_lists_than_anyone_needs_are_refused():
    bomb = b"]" * (MOST_LISTS + 1) + b"."
    with pytest.raises(RefusedError, match="lists"):
        read_plain(bomb)


TORN = {
    "numbers that collide": b"}("
    + b"".join(b"\x8a\x09" + bytes(8) + bytes([i]) + b"N" for i in range(9))
    + b"u.",
    "the same in protocol 0": b"(lp4294967295\n.",
    "a place of the memo of 64 GB": b"]r\xff\xff\xff\xff.",
    "nothing": b"",
    "no pickle": b"<!DOCTYPE html>",
    "no end": b"]K\x01a",
    "a text that ends early": b"U\x20abc",
    "a text of 4 GB": b"X\xff\xff\xff\xffabc.",
    "a frame of 4 GB": b"\x80\x04\x95\xff\xff\xff\xff\x00\x00\x00\x00].",
    "a frame of 2**60": b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"].",
    "an empty stack": b".",
    "an end without a beginning": b"e.",
    "a list as a key": b"}]K\x01s.",
    "an unknown place of the memo": b"h\x07.",
    "a line without an end": b"I123",
    "a text with a broken escape": b"S'\\x'\n.",
}


@pytest.mark.parametrize("name", TORN)
def test_torn_pickles_are_called_torn(name):
    with pytest.raises(WeightsError, match="torn"):
        read_plain(TORN[name])


@pytest.mark.parametrize("protocol", [0, 2])
def test_no_cut_is_taken_for_the_whole(protocol):
    whole = python2_pickle(PLAIN, protocol)
    for end in range(0, len(whole), 97):
        with pytest.raises(WeightsError):
            read_plain(whole[:end])


def test_files_are_named(tmp_path):
    path = tmp_path / "captions.pickle"
    with pytest.raises(DataError, match=r"captions\.pickle is missing"):
        load_plain(path)
    path.write_bytes(MALICIOUS["a call"])
    with pytest.raises(DataError, match=r"captions\.pickle was not read.*the operation GLOBAL.*malicious"):
        load_plain(path)
    path.write_bytes(TORN["no end"])
    with pytest.raises(DataError, match=r"torn.*fetch it anew"):
        load_plain(path)
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(DataError, match="more than 40,000,000"):
        load_plain(path)
