#!/usr/bin/env python3
"""Make, update or mend the project's virtual environment: what `make train` and `make test` do first.

torch is installed first and by itself, everything else in one call with the pins of constraints.txt. A second
call does nothing as long as the pins and the packages' metadata are the same. An interrupted one is noticed,
and starts over. What pip says is shown when it fails. Only the standard library is used here.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STATE = "toolbox-setup.json"  # inside the environment; "ready" is written last
OLDEST, NEWEST = (3, 11), (3, 13)


def main() -> None:
    args = parse_arguments()
    check_python()
    with only_one_at_a_time():
        state = read_state(args.venv)
        extras = sorted({*args.extra, *state.get("extras", [])})
        wanted = {"ready": True, "python": platform.python_version(), "extras": extras, "key": fingerprint()}
        if state == wanted:
            return
        started = time.monotonic()
        if not state.get("ready") or state["python"] != wanted["python"]:
            create(args.venv)
        write_state(args.venv, {**wanted, "ready": False})
        install(args.venv, extras, args.torch_index)
        write_state(args.venv, wanted)
        print(f"{args.venv} is ready ({time.monotonic() - started:.0f} s)", flush=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--venv", type=Path, default=ROOT / ".venv", help="folder of the environment (default: .venv)"
    )
    parser.add_argument(
        "--extra", action="append", default=[], help="extra of setup.cfg to install too, such as test"
    )
    parser.add_argument(
        "--torch-index", default="", help="package index with another build of torch, such as CPU"
    )
    return parser.parse_args()


def check_python() -> None:
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        sys.exit(
            f"Python {platform.python_version()} at {sys.executable}: {'.'.join(map(str, OLDEST))} to "
            f"{'.'.join(map(str, NEWEST))} is needed; name another one: make PYTHON=python3.11 ..."
        )
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            sys.exit(
                f"{sys.executable} lacks the module {module!r}, which makes virtual environments; "
                f"on Debian and Ubuntu: apt install python3-venv"
            )


@contextlib.contextmanager
def only_one_at_a_time():
    """Two `make` side by side must not write into one environment: the second waits, then finds it ready."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with open(__file__, "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def distributions() -> list[Path]:
    """The core and every plugin of this source tree."""
    return [ROOT, *sorted(file.parent for file in ROOT.glob("plugins/*/setup.cfg"))]


def fingerprint() -> str:
    """Changes with the pins, any distribution's metadata, and the tree's place (installs are editable)."""
    digest = hashlib.sha256(str(ROOT).encode())
    for file in [ROOT / "constraints.txt", *(folder / "setup.cfg" for folder in distributions())]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def read_state(venv: Path) -> dict:
    if not venv.exists() or not any(venv.iterdir()):
        return {}
    try:
        return json.loads((venv / STATE).read_text())
    except FileNotFoundError:
        sys.exit(
            f"{venv} was not made by this script: remove it, or name another folder: make VENV=FOLDER ..."
        )
    except ValueError:
        return {}


def write_state(venv: Path, state: dict) -> None:
    temporary = venv / (STATE + ".new")
    temporary.write_text(json.dumps(state))
    os.replace(temporary, venv / STATE)


def create(venv: Path) -> None:
    """An empty environment. Its state file comes first, so that an interrupted one is known as ours."""
    if venv.exists():
        shutil.rmtree(venv)
    venv.mkdir(parents=True)
    write_state(venv, {"ready": False})
    say(f"making {venv} with Python {platform.python_version()}")
    run([sys.executable, "-m", "venv", str(venv)])


def install(venv: Path, extras: list[str], torch_index: str) -> None:
    pip = [str(venv / ("Scripts" if os.name == "nt" else "bin") / "python"), "-m", "pip"]
    pins = [
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
        "--constraint",
        str(ROOT / "constraints.txt"),
    ]
    if torch_index:
        pins += ["--extra-index-url", torch_index]
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    torch = next(line for line in lines if line.startswith("torch=="))
    say(f"installing {torch}")
    run([*pip, "install", *pins, torch])
    core, *plugins = distributions()
    wanted = [f"{core}[{','.join(extras)}]" if extras else str(core), *map(str, plugins)]
    say(f"installing {', '.join(['the toolbox', *(p.name for p in plugins), *extras])} and what they need")
    run([*pip, "install", *pins, *(part for item in wanted for part in ("-e", item))])
    say("checking that all requirements are met")
    run([*pip, "check"])


def say(what: str) -> None:
    print(what, "...", flush=True)


def run(command: list[str]) -> None:
    """Run it in silence; what it said is shown if it fails."""
    answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    status = answer.returncode
    if status:
        print("+", *command, "\n" + answer.stdout.decode(errors="replace"), flush=True)
        sys.exit(
            f"set-up failed (exit status {status}) at the command above; mend what it says and call again"
        )


if __name__ == "__main__":
    main()
