"""torch's zip archives: whole or refused. ``torch.load`` itself does not notice a flipped bit."""

from __future__ import annotations

import os
import struct
import zipfile
from pathlib import Path
from typing import IO

from toolbox.weights.errors import WeightsError, reason
from toolbox.weights.limits import MOST_ENTRIES, MOST_INFLATED

# signatures of a zip file's records: an entry of the table of contents, and the three at the end
_ENTRY = b"PK\x01\x02"
_END = b"PK\x05\x06"  # 22 bytes
_END64 = b"PK\x06\x06"  # 56 bytes, then the locator's 20, before the end
_LOCATOR = b"PK\x06\x07"
_FLAGS = 0x0808  # sizes behind the data, names in UTF-8
_LONGEST_ENTRY = 2**9  # bytes of the table of contents for each entry, on average
_CHUNK = 2**20


def verify_archive(path: str | Path) -> None:
    """Check every byte of a torch archive against the archive's own CRCs, before anything of it is loaded.

    A file of 200 MB takes about 0.05 s. What is not covered by a CRC and does not move the data (time stamps)
    is not looked at.

    Raises:
        WeightsError: for a file that is torn, truncated, altered, or no archive.
    """
    try:
        with open(path, "rb") as file:
            _check_end(file)
            with zipfile.ZipFile(file) as archive:
                _check_table(archive)
                _check_sizes(archive, os.fstat(file.fileno()).st_size)
                _check_contents(archive)
    except WeightsError as error:
        raise WeightsError(f"{path} is damaged: {error}; take an older file, or fetch it again") from None
    except Exception as error:  # zipfile raises many kinds for a torn file
        raise WeightsError(
            f"{path} is damaged or no torch archive ({reason(error)}); take an older file, or fetch it again"
        ) from error


def _check_end(file: IO[bytes]) -> None:
    """The end records must name the same table of contents: readers differ in which of them they follow."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 98))  # 56 + 20 + 22
    tail = file.read()
    if len(tail) < 22 or tail[-22:-18] != _END:
        raise WeightsError("its end is missing")
    disk, start_disk, here, total, length, offset, comment = struct.unpack("<4H2LH", tail[-18:])
    behind = 22
    if tail[-42:-38] == _LOCATOR:
        behind = 98
        _check_end64(tail, size, (here, total, length, offset))
        here, total, length, offset = struct.unpack("<4Q", tail[-98 + 24 : -98 + 56])
    if disk or start_disk or comment or here != total or offset + length != size - behind:
        raise WeightsError("its end does not fit its table of contents")
    file.seek(offset)
    # what zipfile would make objects of, before it does
    if length > MOST_ENTRIES * _LONGEST_ENTRY or file.read(length).count(_ENTRY) > MOST_ENTRIES:
        raise WeightsError(f"it has more than {MOST_ENTRIES:,} entries, or such with endless names")


def _check_end64(tail: bytes, size: int, short: tuple[int, int, int, int]) -> None:
    if tail[:4] != _END64 or len(tail) != 98:
        raise WeightsError("its end is malformed")
    length, _, _, disk, start_disk, *long = struct.unpack("<QHHLL4Q", tail[4:56])
    locator_disk, position, disks = struct.unpack("<LQL", tail[-38:-22])
    fits = all(a in (b, 0xFFFF, 0xFFFFFFFF) for a, b in zip(short, long, strict=True))
    if not fits or length != 44 or disk or start_disk or locator_disk or disks != 1 or position != size - 98:
        raise WeightsError("its end records contradict each other")


def _check_table(archive: zipfile.ZipFile) -> None:
    """What Python's reader lets pass and torch's does not (it leaves an entry marked as a folder unread)."""
    entries, file = archive.infolist(), archive.fp
    assert file is not None
    file.seek(archive.start_dir)
    rest = file.read()
    place, count = 0, 0
    while rest[place : place + 4] == _ENTRY:
        lengths = struct.unpack("<3H", rest[place + 28 : place + 34])  # of name, extra field and comment
        place += 46 + sum(lengths)
        count += 1
    odd = any(
        e.external_attr & 0xFFFF or e.volume or e.flag_bits & ~_FLAGS or e.comment or e.is_dir()
        for e in entries
    )
    if odd or rest[place : place + 4] not in (_END, _END64) or not count == len(entries) == _count(rest):
        raise WeightsError("its table of contents is altered")


def _count(rest: bytes) -> int:
    """How many entries the end records speak of."""
    short = int.from_bytes(rest[-12:-10], "little")
    return short if short != 0xFFFF else int.from_bytes(rest[-98 + 32 : -98 + 40], "little")


def _check_sizes(archive: zipfile.ZipFile, size: int) -> None:
    entries = archive.infolist()
    if len({entry.filename for entry in entries}) != len(entries):
        raise WeightsError("it holds two entries of one name")
    if sum(entry.compress_size for entry in entries) > size:
        raise WeightsError("its entries overlap")
    for entry in entries:
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise WeightsError(f"entry {entry.filename[:80]!r} is packed in a way that torch does not use")
        if entry.compress_type == zipfile.ZIP_STORED and entry.file_size != entry.compress_size:
            raise WeightsError(f"entry {entry.filename[:80]!r} has two sizes")
    packed = [entry for entry in entries if entry.compress_type == zipfile.ZIP_DEFLATED]
    if sum(entry.file_size for entry in packed) > MOST_INFLATED:
        raise WeightsError("it unpacks to more than torch ever packs (a zip bomb)")


def _check_contents(archive: zipfile.ZipFile) -> None:
    for entry in archive.infolist():
        with archive.open(entry) as part:  # raises BadZipFile where the CRC differs
            read = 0
            while chunk := part.read(_CHUNK):
                read += len(chunk)
        if read != entry.file_size:
            raise WeightsError(f"entry {entry.filename[:80]!r} ends too early")
