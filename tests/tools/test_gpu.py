"""``make gpu`` without a GPU: the script keeps its time whatever a part does; the parts run on the CPU."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from tests.gpu import components, games, klish_sizes, machine, profiled
from tests.gpu.cases import Case, Found, LeftOutError, gradients_off, off, play
from tests.gpu.same_draws import SameDraws

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_script", ROOT / "tools" / "gpu.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# -- the script ----------------------------------------------------------------------------------------------


def test_without_a_gpu_one_line_says_so(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert script.main(["--out", str(tmp_path / "report")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert not (tmp_path / "report").exists()


# what parts say of themselves, and what happens to them then; LINES is the file of their records
BEGUN = "import json, os, subprocess, sys, time; from pathlib import Path; file = open(sys.argv[1], 'a')\n"
BEGUN += "def say(name, state): print(json.dumps(dict(name=name, state=state)), file=file, flush=True)\n"
HANGS = "say('one', 'fine'); say('two', 'begun'); child = subprocess.Popen(['sleep', '60'])\n"
HANGS += "Path(sys.argv[1]).with_name('child').write_text(str(child.pid)); time.sleep(60)"
FAILS = "raise SystemExit('the reason')"
DIES_ONCE = "again = 'two' in open(sys.argv[1]).read(); say('three' if again else 'two', 'begun')\n"
DIES_ONCE += "say('three', 'fine') if again else os.kill(os.getpid(), 9)"
WORKS = "say('one', 'begun'); say('one', 'fine')"


def run(script: ModuleType, folder: Path, seconds: float, **parts: str) -> dict[str, Any]:
    """The report of parts that do what these programs do."""

    def command(part: str, limit: float, lines: Path) -> list[str]:
        return [sys.executable, "-S", "-c", BEGUN + parts[part], str(lines)]

    report = script.Report(folder, 1)
    script.run_parts(list(parts), report, time.monotonic() + seconds, command)
    return dict(json.loads((folder / "gpu.json").read_text()), wrong=report.wrong)


def states(report: dict[str, Any], part: str) -> list[tuple[str, str]]:
    return [(case["name"], case["state"]) for case in report["parts"][part]["cases"]]


def test_a_part_that_hangs_is_stopped_with_all_that_it_started(script: ModuleType, tmp_path: Path) -> None:
    script.PARTS = {"checks": 1, "games": 4}
    started = time.monotonic()
    report = run(script, tmp_path, 10.0, checks=HANGS, games=WORKS)
    assert time.monotonic() - started < 9
    assert states(report, "checks") == [("one", "fine"), ("two", "stopped")]
    assert report["parts"]["checks"]["status"] is None
    assert states(report, "games") == [("one", "fine")]  # the later part had its turn
    assert "| checks | at its limit |" in (tmp_path / "gpu.md").read_text()
    assert not is_running(int((tmp_path / "child").read_text()))


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_part_that_fails_is_in_the_report_and_stops_no_other(script: ModuleType, tmp_path: Path) -> None:
    report = run(script, tmp_path, 60.0, checks=FAILS, games=WORKS)
    assert report["parts"]["checks"]["status"] == 1 and report["wrong"]
    assert "the reason" in report["parts"]["checks"]["tail"]
    assert states(report, "games") == [("one", "fine")]
    assert "the reason" in (tmp_path / "gpu.md").read_text()


def test_a_part_that_dies_in_a_case_goes_on_after_it(script: ModuleType, tmp_path: Path) -> None:
    report = run(script, tmp_path, 60.0, checks=DIES_ONCE)
    assert states(report, "checks") == [("two", "died"), ("three", "fine")]
    assert report["parts"]["checks"]["status"] == 0 and report["wrong"]


def test_there_is_no_time_left(script: ModuleType, tmp_path: Path) -> None:
    report = run(script, tmp_path, -1.0, checks=WORKS)
    assert report["parts"]["checks"]["cases"] == []


@pytest.mark.parametrize("minutes", ["0", "-1", "inf", "nan", "x"])
def test_minutes_must_be_a_number_above_0(script: ModuleType, minutes: str) -> None:
    with pytest.raises(SystemExit):
        script.parse_arguments(["--minutes", minutes])


@pytest.mark.slow
def test_the_whole_of_it_on_the_cpu(script: ModuleType, tmp_path: Path) -> None:
    assert script.main(["--device", "cpu", "--tiny", "--out", str(tmp_path), "--minutes", "5"]) == 0
    found = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert list(found) == list(script.PARTS)
    assert all(case["state"] in ("fine", "left out") for part in found.values() for case in part["cases"])


# -- cases ---------------------------------------------------------------------------------------------------


def played(cases: Iterable[Case], **settings: Any) -> dict[str, dict[str, Any]]:
    """{case: its last record}."""
    records: list[dict[str, Any]] = []
    play(cases, records.append, **{"deadline": math.inf, **settings})
    return {record["name"]: record for record in records}


def left_out() -> Found:
    raise LeftOutError("no reason")


CASES: list[Case] = [
    ("fine", lambda: Found("well")),
    ("wrong", lambda: Found("well", "not well")),
    ("failed", lambda: Found(1 / 0)),
    ("left out", left_out),
]


def test_a_case_is_fine_wrong_failed_or_left_out() -> None:
    found = played(CASES)
    assert {name: record["state"] for name, record in found.items()} == {name: name for name, _ in CASES}
    assert found["failed"]["says"].startswith("ZeroDivisionError") and "1 / 0" in found["failed"]["trace"]
    assert played(CASES, only="o", done=["wrong"]).keys() == {"left out"}
    assert played(CASES, deadline=-1.0)["fine"]["state"] == "no time"


def test_what_is_off_is_found() -> None:
    value = torch.tensor([1.0, -2.0])
    assert off(value, value) == 0 and off(value + 1e-3, value) == pytest.approx(5e-4, rel=1e-3)
    assert math.isinf(off(value, value[:1])) and math.isinf(off(value / 0, value))
    assert gradients_off({"w": value, "b": None}, {"w": value, "b": None}) == (0.0, "")
    assert gradients_off({"w": value * 1.1}, {"w": value}) == (pytest.approx(0.1, rel=1e-3), "w")
    assert math.isinf(gradients_off({"w": None}, {"w": value})[0])
    rounding = {"w": value, "b": torch.tensor([1e-9])}
    assert gradients_off({**rounding, "b": torch.tensor([-1e-9])}, rounding)[0] < 1e-6


def test_a_network_that_is_another_on_the_device_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def spoilt(module: torch.nn.Module, device: str) -> torch.nn.Module:
        other = torch.nn.Linear(3, 2)
        other.load_state_dict({name: 1.01 * value for name, value in module.state_dict().items()})
        return other

    monkeypatch.setattr(components, "_moved", spoilt)
    question = torch.ones(4, 3), lambda module, given: module(given)
    assert components.compared(torch.nn.Linear(3, 2), question, "cpu").wrong


def test_draws_are_those_of_a_cpu_generator_of_the_same_seed() -> None:
    def draws(rng: torch.Generator) -> list[torch.Tensor]:
        normal = torch.empty(3).normal_(generator=rng)
        return [torch.randn(2, generator=rng), normal, torch.randint(9, (4,), generator=rng)]

    plain = draws(torch.Generator().manual_seed(5))
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with SameDraws(all_generators=True):
        again = draws(torch.Generator().manual_seed(5))
        assert torch.equal(torch.rand(2), expected)  # of the global generator: left alone
    assert all(torch.equal(one, other) for one, other in zip(again, plain, strict=True))


def test_no_registered_component_is_forgotten() -> None:
    assert components.untried() == set()


def test_counts_of_a_profile() -> None:
    events = [
        ("cudaLaunchKernel", 7),
        ("cudaLaunchKernelExC", 1),
        ("Memcpy HtoD (Pageable -> Device)", 3),
        ("Memcpy DtoH (Device -> Pinned)", 2),
        ("cudaMemcpyAsync", 5),
        ("cudaStreamSynchronize", 4),
        ("aten::add", 9),
    ]
    found = profiled.sorted_out(events)
    assert (found["kernels"], found["copies"], found["waits"]) == (8, 5, 4)
    assert (found["copies to the device"], found["copies from it"], found["copies within it"]) == (3, 2, 0)


def test_klish_stops_growing_where_time_or_memory_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert klish_sizes.too_long(4.0, 5.0) == "" and "5 s are left" in klish_sizes.too_long(6.0, 5.0)
    monkeypatch.setattr(klish_sizes, "fitted", lambda *sizes: Found("done"))
    everything = played(klish_sizes.cases("cpu"))
    assert list(everything)[-1].startswith("16,777,216 x 992") and len(everything) == 5
    monkeypatch.setattr(klish_sizes, "too_large", lambda rows, *sizes: "too large" * (rows > 2**20))
    (*_, last) = played(klish_sizes.cases("cpu")).values()
    assert last["name"].startswith("4,194,304") and last["state"] == "left out"


# -- the parts, on the CPU -----------------------------------------------------------------------------------

PARTS: dict[str, Callable[[], Iterable[Case]]] = {
    "machine": lambda: machine.cases("cpu"),
    "checks": lambda: components.cases("cpu", tiny=True),
    "games": lambda: games.cases("cpu", tiny=True),
    "profile": lambda: profiled.cases("cpu", tiny=True),
    "klish": lambda: klish_sizes.cases("cpu", tiny=True),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "games" else name for name in PARTS]
)
def test_each_part_runs(name: str) -> None:
    found = played(PARTS[name]())
    assert {record["state"] for record in found.values()} <= {"fine", "left out"}, found
    assert "fine" in {record["state"] for record in found.values()}


@pytest.mark.slow
def test_two_ranks_of_a_toy() -> None:
    """Without BatchNorm, which normalises by the images of one process."""
    toy = Path(games.toy_config())
    toy.write_text(toy.read_text().replace("norm=True", "norm=False"))
    assert games.two_ranks(str(toy), "cpu").wrong == ""


@pytest.mark.slow
def test_a_compiled_toy_and_one_in_bf16() -> None:
    assert games.in_bf16(games.toy_config(), "cpu").wrong == ""
    assert games.compiled(games.toy_config(), "cpu", backend="eager").wrong == ""
