#!/usr/bin/env python3
"""Everything that is worth knowing of a GPU, in minutes: what `make gpu` runs.

Four parts, what says most first: `checks` (components against the CPU), `games` (training, resume, bf16,
compile), `profile` (kernels, copies, images a second), `klish` (the paper's size). Each is a process of its
own with a time limit; the whole ends on time whatever happens. gpu.json and gpu.md are written after each.
Without a GPU one line says so. The exit status is 1 where something is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PARTS = {"machine": 3, "checks": 8, "games": 10, "profile": 6, "klish": 8}  # shares of the time
GRACE = 6.0  # seconds before its limit at which a part begins no further case
LAST = 3.0  # seconds that the report is given
WRONG = ("wrong", "failed", "died", "stopped")  # states of a case

Record = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the parts, or (``--part``, as it calls itself) one of them; the exit status."""
    started = time.monotonic()
    args = parse_arguments(arguments)
    if args.part:
        return play_part(args)
    if args.device.startswith("cuda") and not has_gpu():
        return 0
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    names = [name for name in PARTS if args.only in ("", name) or name == "machine"]
    report = Report(args.out, args.minutes)
    try:
        run_parts(names, report, started + 60 * args.minutes - LAST, command_of(args))
    except KeyboardInterrupt:
        report.write("interrupted")
        return 130
    return int(report.wrong)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--minutes", type=minutes, default=9.0, help="when it ends, whatever happens (default: 9)"
    )
    parser.add_argument("--out", type=Path, default=Path("gpu-report"), help="folder of gpu.json and gpu.md")
    parser.add_argument("--only", choices=list(PARTS), default="", help="one part, which gets all the time")
    parser.add_argument("--case", default="", help="of a part only the cases whose names hold this")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1; cpu tries this script itself")
    parser.add_argument(
        "--tiny", action="store_true", help="a few small cases a part: tries this script itself"
    )
    for name in ("--part", "--lines"):
        parser.add_argument(name, default="", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=0.0, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def minutes(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} must be above 0")
    return value


def has_gpu() -> bool:
    """Whether torch can use one; if not, a line says why not."""
    import torch

    if torch.cuda.is_available():
        return True
    build = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "a build for CPUs"
    print(f"no GPU that torch {torch.__version__} ({build}) can use: nothing was run", flush=True)
    return False


# -- the parts, each in a process ----------------------------------------------------------------------------

Command = Callable[[str, float, Path], list[str]]


def command_of(args: argparse.Namespace) -> Command:
    """(part, its seconds, file of its records) -> the command that plays it."""
    common = ["--device", args.device, "--case", args.case, *(["--tiny"] if args.tiny else [])]

    def command(part: str, seconds: float, lines: Path) -> list[str]:
        own = ["--part", part, "--seconds", f"{seconds:.1f}", "--lines", str(lines)]
        return [sys.executable, str(Path(__file__).resolve()), *own, *common]

    return command


def run_parts(names: Sequence[str], report: Report, end: float, command: Command) -> None:
    """One part after the other; each gets its share of what is left, so that saved time is for later ones."""
    for number, name in enumerate(names):
        left = end - time.monotonic()
        limit = left * PARTS[name] / sum(PARTS[later] for later in names[number:])
        print(f"{name}: at most {max(limit, 0):.0f} s ...", flush=True)
        run_part(name, limit, report, command)
        report.write()
    print(f"written: {report.folder / 'gpu.md'}, {report.folder / 'gpu.json'}", flush=True)


def run_part(name: str, limit: float, report: Report, command: Command) -> None:
    """Until it ends or its limit has come; where it died, again from the case after that one."""
    started = time.monotonic()
    lines = report.folder / f"{name}.jsonl"
    log = report.folder / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    lines.write_text("")
    log.write_text("")
    status: int | None = 1
    begun = -1
    while status and len(read_lines(lines)) > begun and time.monotonic() - started < limit:
        begun = len(read_lines(lines))
        left = limit - (time.monotonic() - started)
        status = run_limited(command(name, max(left - GRACE, left / 2), lines), left, lines, log)
        add_missing(lines, "stopped" if status is None else "died")
    report.add(name, read_lines(lines), time.monotonic() - started, status, log)


def run_limited(command: list[str], limit: float, lines: Path, log: Path) -> int | None:
    """Its exit status; None where it, with all that it started, was killed at the limit."""
    environment = {**os.environ, "CUBLAS_WORKSPACE_CONFIG": ":4096:8", "PYTHONUNBUFFERED": "1"}
    end = time.monotonic() + limit
    shown = len(read_lines(lines))
    with open(log, "ab") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=output, cwd=ROOT, env=environment, start_new_session=True
        )
        try:
            while process.poll() is None and time.monotonic() < end:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(min(0.5, max(end - time.monotonic(), 0)))
                shown = show(lines, shown)
            return process.poll()
        finally:
            kill_group(process)
            show(lines, shown)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)  # one that hangs in a driver cannot be killed; it is left behind


def read_lines(path: Path) -> list[Record]:
    """Records of a part; a last line that is torn is none."""
    found = []
    for line in path.read_text().splitlines() if path.exists() else ():
        with contextlib.suppress(ValueError):
            found.append(json.loads(line))
    return found


def show(lines: Path, shown: int) -> int:
    """Print the new records; how many there are now."""
    records = read_lines(lines)
    for record in records[shown:]:
        if record["state"] != "begun":
            print(f"  {record['state']:8} {record['name']}: {record.get('says', '')}", flush=True)
    return len(records)


def add_missing(lines: Path, state: str) -> None:
    """A case that began and has no result: its process died in it, or was stopped."""
    records = read_lines(lines)
    ended = {record["name"] for record in records if record["state"] != "begun"}
    with open(lines, "a") as file:
        for record in records:
            if record["state"] == "begun" and record["name"] not in ended:
                file.write(json.dumps(dict(name=record["name"], state=state)) + "\n")


def play_part(args: argparse.Namespace) -> int:
    """In the part's own process: its cases, a line for each into a file."""
    deadline = time.monotonic() + args.seconds
    for name, cases in parts(args.device, args.tiny, deadline):
        if name == args.part:
            from tests.gpu.cases import play

            done = [record["name"] for record in read_lines(Path(args.lines))]
            with open(args.lines, "a") as file:

                def write(record: Record) -> None:
                    file.write(json.dumps(record) + "\n")
                    file.flush()

                play(cases(), write, deadline, "" if name == "machine" else args.case, done)
    return 0


def parts(device: str, tiny: bool, deadline: float) -> Iterator[tuple[str, Callable[[], Any]]]:
    """(name, what gives its cases); imported here, so that the script itself starts at once."""
    sys.path.insert(0, str(ROOT))
    from toolbox.compat import import_torchvision
    from toolbox.source_tree import use_source_tree

    use_source_tree(ROOT)
    import_torchvision()
    from tests.gpu import components, games, klish_sizes, machine, profiled

    yield "machine", lambda: machine.cases(device)
    yield "checks", lambda: components.cases(device, tiny)
    yield "games", lambda: games.cases(device, tiny)
    yield "profile", lambda: profiled.cases(device, tiny)
    yield "klish", lambda: klish_sizes.cases(device, tiny, deadline)


# -- the report ----------------------------------------------------------------------------------------------


class Report:
    """gpu.json and gpu.md, whole after each part.

    Args:
        folder: where they are written.
        minutes: that were given.
    """

    def __init__(self, folder: Path, minutes: float) -> None:
        self.folder = folder
        self.about = dict(started=time.strftime("%Y-%m-%d %H:%M:%S"), minutes=minutes, host=platform.node())
        self.parts: dict[str, Record] = {}

    @property
    def wrong(self) -> bool:
        """Whether any case is."""
        return any(wrong_of(part["cases"]) or part["status"] for part in self.parts.values())

    def add(self, name: str, records: list[Record], seconds: float, status: int | None, log: Path) -> None:
        """A part that has ended; ``status`` None = it was stopped at its limit."""
        cases = [record for record in records if record["state"] != "begun"]
        part = dict(status=status, seconds=round(seconds, 1), cases=cases)
        if status:
            part["tail"] = log.read_text(errors="replace")[-2000:]
        self.parts[name] = part

    def write(self, ended: str = "") -> None:
        """Both files."""
        sys.path.insert(0, str(ROOT))
        from toolbox.runs.files import write_text

        content = dict(self.about, ended=ended or "so far", parts=self.parts)
        write_text(json.dumps(content, indent=1), self.folder / "gpu.json")
        write_text(self.table(ended), self.folder / "gpu.md")

    def table(self, ended: str = "") -> str:
        """The page: the parts, what is wrong, every case."""
        lines = [
            "# What this GPU does",
            "",
            f"{self.about['started']}, {self.about['minutes']:g} minutes. {ended}",
        ]
        lines += [f"* {case['name']}: {case.get('says', '')}" for case in self._cases("machine")]
        lines += [
            "",
            "| part | ended | seconds | fine | wrong | left out | no time |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [self._row(name) for name in self.parts if name != "machine"]
        wrong = {name: wrong_of(part["cases"]) for name, part in self.parts.items()}
        if any(wrong.values()):
            lines += ["", "## What is wrong", ""]
            lines += [f"* {name}: {_words(case)}" for name, cases in wrong.items() for case in cases]
        for name in self.parts:
            if name != "machine":
                lines += ["", f"## {name}", "", "| case | state | s | found |", "|---|---|---|---|"]
                lines += [_case_row(case) for case in self._cases(name)]
                lines += ["", f"```\n{self.parts[name]['tail']}\n```"] if "tail" in self.parts[name] else []
        return "\n".join([*lines, ""])

    def _cases(self, name: str) -> list[Record]:
        return self.parts.get(name, {}).get("cases", [])

    def _row(self, name: str) -> str:
        part = self.parts[name]
        states = [case["state"] for case in part["cases"]]
        ended = {0: "by itself", None: "at its limit"}.get(part["status"], f"with status {part['status']}")
        counts = [states.count("fine"), sum(state in WRONG for state in states)]
        counts += [states.count("left out"), states.count("no time")]
        return f"| {name} | {ended} | {part['seconds']:.0f} | {' | '.join(map(str, counts))} |"


def wrong_of(cases: list[Record]) -> list[Record]:
    return [case for case in cases if case["state"] in WRONG and case["state"] != "stopped"]


def _words(case: Record) -> str:
    return f"{case['name']} {case['state']}: {case.get('says', '')}"


def _case_row(case: Record) -> str:
    says = str(case.get("says", "")).replace("|", "/")
    return f"| {case['name']} | {case['state']} | {case.get('seconds', '')} | {says} |"


if __name__ == "__main__":
    sys.exit(main())
