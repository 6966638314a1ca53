#!/usr/bin/env python3
"""Measure the benchmarks and print one table: what `make bench` runs.

Each row is a pair: our way and another one of the same work, in turn, in processor time (tests/benchmarks).
`--write` puts the table into docs/benchmarks.md, with the machine, the date and the commit; it wants all of
the benchmarks. Other arguments go to pytest: `-k klish`, tests/benchmarks/bench_klish.py.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
BEGIN, END = "<!-- written by tools/bench.py: begin -->", "<!-- end -->"
HEAD = ["| ours; the other | ours / other | quartiles | ours | other |", "|---|---|---|---|---|"]
PACE_HEAD = ["| iteration | images a second |", "|---|---|"]

Record = Mapping[str, Any]  # what a benchmark keeps in pytest-benchmark's extra_info


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status of pytest."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.relative_to(ROOT)}")
    args, others = parser.parse_known_args(arguments)
    if args.write and others:
        parser.error(f"--write wants all benchmarks, not those of {' '.join(others)}")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "found.json"
        status = measure(file, others)
        found = json.loads(file.read_text() or "{}") if file.exists() else {}
    records = [one["extra_info"] for one in found.get("benchmarks", [])]
    lines = [*about(), "", *table(records)]
    print("\n".join(["", *lines]), flush=True)
    if args.write and not status:
        PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), lines), encoding="utf-8")
        print(f"written: {PAGE.relative_to(ROOT)}")
    return status


def measure(file: Path, others: Sequence[str]) -> int:
    """Run them, one thread each, into pytest-benchmark's file."""
    named = any(word.startswith("tests/") for word in others)
    command = [sys.executable, "-m", "pytest", *others, *([] if named else ["tests/benchmarks"])]
    command += ["-o", "python_files=bench_*.py", "--benchmark-only", "-q", f"--benchmark-json={file}"]
    command += ["--benchmark-columns=median"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def about() -> list[str]:
    """What the numbers belong to, a line of the page."""
    import torch

    sys.path.insert(0, str(ROOT))
    from tests.gpu.machine import cpu_model
    from toolbox.runs.environment import environment

    parts = [f"{cpu_model()}, {os.cpu_count()} cores", "one thread", f"torch {torch.__version__}"]
    parts += [
        f"Python {platform.python_version()}",
        f"{datetime.date.today()}, commit {environment({})['git']}",
    ]
    return [f"{'; '.join(parts)}."]


def table(records: Sequence[Record]) -> list[str]:
    """Lines of the page: the pairs, then the pace of what has no other side."""
    pairs = [_row(one) for one in records if "ratio" in one]
    paces = [f"| {one['title']} | {one['images_per_second']:.0f} |" for one in records if _is_pace(one)]
    return [*HEAD, *pairs, *(["", *PACE_HEAD, *paces] if paces else [])]


def _is_pace(record: Record) -> bool:
    return "images_per_second" in record


def _row(record: Record) -> str:
    low, high = record["quartiles"]
    times = " | ".join(duration(record[side]) for side in ("ours", "theirs"))
    return f"| {record['title']} | {record['ratio']:.2f} | {low:.2f} to {high:.2f} | {times} |"


def duration(seconds: float) -> str:
    """In the unit that people would use."""
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def replaced(page: str, lines: Sequence[str]) -> str:
    """The page with these lines between the markers.

    Raises:
        ValueError: where the markers are not there, once each and in order.
    """
    if page.count(BEGIN) != 1 or page.count(END) != 1 or page.index(BEGIN) > page.index(END):
        raise ValueError(f"{PAGE.name} must hold {BEGIN!r} and then {END!r}, once each")
    before, rest = page.split(BEGIN)
    return "\n".join([f"{before}{BEGIN}", "", *lines, "", f"{END}{rest.split(END)[1]}"])


if __name__ == "__main__":
    sys.exit(main())
