"""A fit that was killed goes on where it stood, and ends with the same tree to the bit."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from toolbox import ranks, testing
from toolbox_klish.algorithm.klish import KLiSH
from toolbox_klish.toy import curved_clusters

SLOW_FIT = """
import sys, time
from toolbox_klish.algorithm.klish import KLiSH
from toolbox_klish.toy import curved_clusters

class Slow:
    def __iter__(self):
        time.sleep(0.02)
        yield curved_clusters(rows=600, width=10, classes=4, seed=1)[0]

KLiSH(clusters=9, C=100.0, filter_sigma=1.0).fit(Slow(), checkpoint=sys.argv[1], every=0)
"""


def features() -> np.ndarray:
    return curved_clusters(rows=600, width=10, classes=4, seed=1)[0]


def model(**changes: Any) -> KLiSH:
    return KLiSH(**{**dict(clusters=9, C=100.0, filter_sigma=1.0), **changes})


def merges_in(path: Path) -> int:
    if not path.exists():
        return 0
    with np.load(path) as file:
        return len(file["merges"])


def equal_trees(one: KLiSH, other: KLiSH) -> None:
    for key, value in other.state().items():
        np.testing.assert_array_equal(one.state()[key], value, err_msg=key)
    np.testing.assert_array_equal(one.labels_, other.labels_)
    assert one.passes_ == other.passes_


@pytest.mark.parametrize(
    "changes",
    [{}, dict(precision="float64", first=12), dict(solver="joint", joint_calls=2)],
    ids=["float32", "float64", "joint"],
)
def test_every_step_can_be_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    """Stopped after each write in turn, the fit needs as many calls as it writes, and loses nothing."""
    from toolbox_klish.algorithm import checkpoints

    class StoppedError(Exception):
        pass

    def write_and_stop(path: Path, fill: Any) -> None:
        already = path.read_bytes() if path.exists() else b""
        write(path, fill)
        if merges_in(path) and path.read_bytes() != already:
            raise StoppedError

    expected = model(**changes).fit(features())
    write = checkpoints.write_whole
    monkeypatch.setattr(checkpoints, "write_whole", write_and_stop)
    for _ in range(len(expected.merges_)):
        with pytest.raises(StoppedError):
            model(**changes).fit(features(), checkpoint=tmp_path / "fit.npz", every=0)
    monkeypatch.undo()
    found = model(**changes).fit(features(), checkpoint=tmp_path / "fit.npz")
    equal_trees(found, expected)
    np.testing.assert_array_equal(found.filter_["kept"], expected.filter_["kept"])


def test_a_killed_process_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "fit.npz"
    process = subprocess.Popen([sys.executable, "-c", SLOW_FIT, str(path)])
    until = time.monotonic() + 300
    while merges_in(path) < 2 and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = merges_in(path)
    expected = model().fit(features())
    assert 2 <= done < len(expected.merges_)
    equal_trees(model().fit(features(), checkpoint=path), expected)
    assert merges_in(path) == len(expected.merges_)


def test_a_finished_fit_is_read_not_made_again(tmp_path: Path) -> None:
    first = model(stop_iou=0.9).fit(features(), checkpoint=tmp_path / "fit.npz")
    again = model(stop_iou=0.9).fit(features(), checkpoint=tmp_path / "fit.npz")
    equal_trees(again, first)
    np.testing.assert_array_equal(again.seconds_, first.seconds_)


def test_checkpoints_of_another_fit_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "fit.npz"
    X = features()
    model().fit(X, checkpoint=path)
    before = path.read_bytes()
    for other, message in [
        (lambda: model(C=1.0).fit(X, checkpoint=path), "is of another fit: C was 100.0, and is 1.0 now"),
        (lambda: model().fit(X[:-1], checkpoint=path), "rows of features was 600, and is 599 now"),
        (lambda: model().fit(2 * X, checkpoint=path), "is of another fit: features was"),
        (lambda: model().fit(X, initial=np.arange(600) % 9, checkpoint=path), "initial was None"),
    ]:
        with pytest.raises(ValueError, match=message):
            other()
    assert path.read_bytes() == before
    path.write_bytes(before[:1000])
    with pytest.raises(ValueError, match=r"is broken, or not of a KLiSH fit .* or remove it to begin again"):
        model().fit(X, checkpoint=path)


def fit_on_ranks(folder: str) -> tuple[int, dict[str, np.ndarray]]:
    """Merges this rank's file starts from, and the state found.

    Ranks stop at different steps: the file of the second is older.
    """
    X = features()
    own = X[:200] if ranks.rank() == 0 else X[200:]
    path = Path(folder) / ("fit.npz" if ranks.rank() == 0 else "fit.npz.1")
    if ranks.rank() == 0:
        model(precision="float64", stop_iou=None).fit(own, checkpoint=Path(folder) / "fit.npz", every=0)
    else:
        from toolbox_klish.algorithm import checkpoints

        write = checkpoints.write_whole
        checkpoints.write_whole = lambda path, fill: None if merges_in(path) == 2 else write(path, fill)  # type: ignore[assignment]
        model(precision="float64", stop_iou=None).fit(own, checkpoint=Path(folder) / "fit.npz", every=0)
        checkpoints.write_whole = write  # type: ignore[assignment]
    started = merges_in(path)
    found = model(precision="float64", stop_iou=None).fit(own, checkpoint=Path(folder) / "fit.npz")
    return started, found.state()


def test_ranks_go_on_from_the_last_step_that_all_have(tmp_path: Path) -> None:
    expected = model(precision="float64").fit(features())
    answers = testing.run_ranks(fit_on_ranks, str(tmp_path))
    assert [started for started, _ in answers] == [len(expected.merges_), 2]
    for _, state in answers:
        np.testing.assert_array_equal(state["merges"], expected.merges_)
        np.testing.assert_allclose(state["iou"], expected.iou_, atol=1e-6)
