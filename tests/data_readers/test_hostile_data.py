"""Every hostile data file is refused with one line of ours, or read rightly, in little time and memory."""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from hostile_data import Case, all_cases

from toolbox.runs.terminal import one_line

SECONDS = 5.0
MEGABYTES = 1000.0
FEWEST = 200


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is counted as Linux does")
def test_hostile_data_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cases = all_cases()
    assert len(cases) >= FEWEST
    faults, outcomes = [], []
    for number, case in enumerate(cases):
        folder = tmp_path / f"case{number}"
        folder.mkdir()
        outcome = in_a_process(case, folder)
        outcomes.append({"name": case.name, **outcome})
        faults += [f"{case.name}: {fault}" for fault in faults_of(case, outcome)]
    print(summary(outcomes))  # noqa: T201 (the figures)
    assert not list(tmp_path.rglob("started")) + list(tmp_path.rglob("escaped"))
    assert not faults, "\n".join(faults)


def in_a_process(case: Case, folder: Path) -> dict[str, Any]:
    """What became of a case, its seconds of computing and its megabytes, in a process of its own."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_play, args=(case, folder, theirs))
    process.start()
    theirs.close()
    try:
        outcome = ours.recv() if ours.poll(120) else {"end": "went on for two minutes"}
    except EOFError:
        outcome = {"end": "the process died"}
    process.kill()
    process.join()
    return outcome


def _play(case: Case, folder: Path, pipe: Connection) -> None:
    read = case.make(folder)
    # in yet another process, so that what it took to make a bomb is not counted as reading it
    reader = multiprocessing.get_context("fork").Process(target=_read, args=(case, read, pipe))
    reader.start()
    reader.join(100)
    reader.kill()


def _read(case: Case, read: Callable[[], Any], pipe: Connection) -> None:
    started = time.process_time()
    try:
        found = read()
        end, text = "read", "" if case.right is None else str(case.right(found))
    except Exception as error:
        ours = type(error).__module__.startswith("toolbox")
        end, text = "refused" if ours else "crashed", str(error)
        if not ours:
            text += traceback.format_exc()
    seconds = time.process_time() - started
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    pipe.send({"end": end, "text": text, "seconds": seconds, "megabytes": megabytes})


def faults_of(case: Case, outcome: dict[str, Any]) -> list[str]:
    end, text = outcome["end"], outcome.get("text", "")
    if end not in ("refused", "read"):
        return [f"{end} {text}"]
    found = []
    if end == "read" and text != "True":
        found.append("read, and should be refused" if case.right is None else "read wrongly")
    if end == "refused" and not 10 < len(one_line(text)) < 700:
        found.append(f"the line has {len(text)} letters: {text[:200]}")
    if outcome["seconds"] > SECONDS:
        found.append(f"took {outcome['seconds']:.1f} s")
    if outcome["megabytes"] > MEGABYTES:
        found.append(f"took {outcome['megabytes']:.0f} MB")
    return found


def summary(outcomes: list[dict[str, Any]]) -> str:
    """Figures: how many were refused and read, the worst time and memory."""
    ends = [outcome["end"] for outcome in outcomes]
    measured = [outcome for outcome in outcomes if "seconds" in outcome]
    slowest = max(measured, key=lambda outcome: outcome["seconds"])
    largest = max(measured, key=lambda outcome: outcome["megabytes"])
    return (
        f"{len(outcomes)} hostile data files: {ends.count('refused')} refused, {ends.count('read')} read; "
        f"slowest {slowest['seconds']:.2f} s ({slowest['name']}), "
        f"largest {largest['megabytes']:.0f} MB ({largest['name']})"
    )
