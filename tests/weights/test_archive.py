"""torch's archives: a flipped bit is noticed, or it changes nothing."""

from __future__ import annotations

import io
import random
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pickle_makers import state, torch_legacy, torch_zip, torchscript

from toolbox.weights.archive import verify_archive
from toolbox.weights.errors import WeightsError

FLIPS = 600


def leaves(content: Any) -> Iterator[Any]:
    """Everything in nested content, in order."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield key
            yield from leaves(value)
    else:
        yield content.tolist() if isinstance(content, torch.Tensor) else content


def load(content: bytes) -> list[Any]:
    """What ``torch.load`` makes of it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(leaves(torch.load(io.BytesIO(content), weights_only=True)))


def flipped(content: bytes, bit: int) -> bytes:
    """One bit changed."""
    altered = bytearray(content)
    altered[bit // 8] ^= 1 << bit % 8
    return bytes(altered)


def accepted(path: Path, content: bytes) -> bool:
    """Whether the archive passes."""
    path.write_bytes(content)
    try:
        verify_archive(path)
    except WeightsError as error:
        return str(path) not in str(error) or "\n" in str(
            error
        )  # a refusal that does not name the file counts as none
    return True


@pytest.mark.parametrize("make", [torch_zip, torchscript])
def test_whole_archives_pass(tmp_path: Path, make: Any) -> None:
    """As torch writes them."""
    assert accepted(tmp_path / "x.pth", make())


def test_flipped_bits_are_refused_or_change_nothing(tmp_path: Path) -> None:
    """Anywhere in the file: headers, data, padding, table of contents, end."""
    whole, random_bit = torch_zip(), random.Random(0)
    expected = load(whole)
    refused = 0
    for _ in range(FLIPS):
        altered = flipped(whole, random_bit.randrange(len(whole) * 8))
        if accepted(tmp_path / "x.pth", altered):
            assert load(altered) == expected
        else:
            refused += 1
    assert refused > FLIPS / 4


@pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.slow), 7])
def test_every_bit_of_the_table_of_contents(tmp_path: Path, step: int) -> None:
    """Zip readers differ here: one bit makes torch take an entry for a folder and leave its tensor unread."""
    whole = torch_zip()
    expected = load(whole)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        start = archive.start_dir
    for bit in range(start * 8, len(whole) * 8, step):
        altered = flipped(whole, bit)
        if accepted(tmp_path / "x.pth", altered):
            assert load(altered) == expected, bit


def test_torch_alone_would_load_altered_numbers(tmp_path: Path) -> None:
    """Why this exists: a flip inside a tensor's data goes unnoticed by ``torch.load``."""
    content = torch_zip(dict(x=torch.zeros(1000)))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entry = next(item for item in archive.infolist() if item.filename.endswith("data/0"))
    bit = (content.index(bytes(4000), entry.header_offset) + 100) * 8
    assert load(flipped(content, bit)) != load(content)
    assert not accepted(tmp_path / "x.pth", flipped(content, bit))


def test_truncated_archives_are_refused(tmp_path: Path) -> None:
    """At any length."""
    whole = torch_zip()
    for length in range(0, len(whole), 13):
        assert not accepted(tmp_path / "x.pth", whole[:length]), length
    assert not accepted(tmp_path / "x.pth", whole + b"\0")


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06", torch_legacy(), b"\0" * 1000])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    """A file that is no archive."""
    assert not accepted(tmp_path / "x.pth", content)


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """300 MB of zeros in 300 kB; torch itself would unpack them into memory."""
    with (
        zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x/data.pkl", "w") as part,
    ):
        for _ in range(300):
            part.write(bytes(2**20))
    with pytest.raises(
        WeightsError, match=r"bomb\.pth is damaged: it unpacks to more than torch ever packs \(a zip bomb\)"
    ):
        verify_archive(tmp_path / "bomb.pth")


def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    """Readers differ in which one they take."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(tmp_path / "two.pth", "w") as archive:
            archive.writestr("x/data.pkl", b"one")
            archive.writestr("x/data.pkl", b"two")
    with pytest.raises(WeightsError, match="two entries of one name"):
        verify_archive(tmp_path / "two.pth")


def test_a_checkpoint_of_usual_size_is_whole(tmp_path: Path) -> None:
    """More entries and larger ones than the toy."""
    torch.save({f"layer{i}": torch.randn(100, 100) for i in range(50)} | state(), tmp_path / "x.pth")
    verify_archive(tmp_path / "x.pth")
