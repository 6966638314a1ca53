"""What is said while a fit goes on: never nothing for long, and for KLiSH how much time is left."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest

from toolbox.cli.main import main
from toolbox_klish import progress
from toolbox_klish.algorithm.klish import KLiSH
from toolbox_klish.progress import EVERY, Heartbeat, in_words
from toolbox_klish.toy import curved_clusters

CONFIG = """
command = 'klish fit'
generator = dict(
    type='StyleGAN2Generator', image_size=16, latent_dim=8, style_dim=8, channel_base=128, channel_max=8)
features = dict(images=3, size=16)
clusterers = dict(klish=dict(type='KLiSH', clusters=20), kmeans=dict(type='LloydKMeans'))
final = 4
device = 'cpu'
"""


@pytest.mark.parametrize(
    ("settings", "trainings"),
    [
        (dict(clusters=20, filter_sigma=None), 20 + 18),
        (dict(clusters=5, first=20, filter_sigma=None), 20 + 15),
        (dict(clusters=6, filter_sigma=None, solver="joint", joint_calls=1), 6 + 5 + 4 + 3 + 2),
    ],
)
def test_trainings_are_counted_to_their_end(settings: dict[str, object], trainings: int) -> None:
    X, _ = curved_clusters(rows=400, width=6, classes=4)
    told: list[tuple[str, int, int]] = []
    model = KLiSH(C=100.0, device="cpu", **settings).fit(X, progress=lambda *news: told.append(news))
    assert told[0] == ("k-means", 0, 0) and told[1] == ("first training", 0, trainings)
    assert told[-1][1:] == (trainings, trainings)
    counts = [done for _, done, _ in told]
    assert counts == sorted(counts)
    quiet = KLiSH(C=100.0, device="cpu", **settings).fit(X)
    assert np.array_equal(model.merges_, quiet.merges_) and model.passes_ == quiet.passes_
    if len(counts) > 30:  # sixteen classes are trained at a time
        assert 16 in counts and "merging, 9 clusters left" in {stage for stage, *_ in told}


def test_the_filters_trainings_count_too() -> None:
    X, _ = curved_clusters(rows=400, width=6, classes=4)
    told: list[tuple[str, int, int]] = []
    model = KLiSH(12, C=100.0, filter_sigma=0.0, device="cpu")
    model.fit(X, progress=lambda *news: told.append(news))
    assert told[1] == ("training of the clusters to be filtered", 0, 12 + 12 + 10)
    left = model.clusters_
    assert left < 12 and told[-1][1:] == (12 + left + left - 2, 12 + left + left - 2)


def test_time_left_is_that_of_the_parts_that_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    beat = Heartbeat("klish-0")
    assert beat.line() == "klish-0; 0 s so far"
    now[0] += 5
    beat("first training", 20, 60)  # a fit that goes on from part 20
    now[0] += 10
    beat("merging, 9 clusters left", 25, 60)
    assert beat.line() == "klish-0: merging, 9 clusters left; 15 s so far, about 1 min 10 s left"
    assert (in_words(0.4), in_words(59.6), in_words(3725)) == ("0 s", "1 min 0 s", "1 h 2 min")
    assert EVERY < 10


def test_a_fit_is_never_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a line as often as one can be said, every part of a fit has its own."""
    monkeypatch.setattr(progress, "EVERY", 1e-3)
    config = tmp_path / "config.py"
    config.write_text(CONFIG)
    assert main(["klish", "fit", str(config), "--work-dir", str(tmp_path / "run")]) == 0
    told = capsys.readouterr().out
    for words in (
        r"klish-0: first training; \d s so far",
        r"klish-0: merging, \d+ clusters left; \d s so far, about \d s left",
        r"kmeans-0-4; \d s so far",
    ):
        assert re.search(words, told), words


def test_it_falls_silent_with_the_work(capsys: pytest.CaptureFixture[str]) -> None:
    with Heartbeat("work", every=1e-3) as beat:
        beat("part", 1, 2)
        time.sleep(0.05)
    assert not beat._thread.is_alive() and "work: part; 0 s so far" in capsys.readouterr().out
