"""LSE, SVM and centroids on generators' features: the formulas, tables, pictures, what is kept, refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.plugins.klish.tiny_lse import PARTS, Brightest, small_generator
from toolbox.cli.main import main
from toolbox.config import ConfigError
from toolbox.features import stack_maps
from toolbox.interfaces import Generator
from toolbox_klish.lse.taps import drawn
from toolbox_klish.separability.cell import Training, judge
from toolbox_klish.separability.centroids import Centroids
from toolbox_klish.separability.plan import METHODS, PUBLISHED, Budget
from toolbox_klish.separability.report import published_rows
from toolbox_klish.separability.run import make
from toolbox_klish.separability.sources import generator_of, teacher_of

SMALL = Budget(steps=6, batch_size=2, test_images=3, lr=0.01)


@pytest.fixture(scope="module")
def generator() -> Generator:
    return small_generator()


def quiet(what: str, done: int, total: int) -> None:
    """Tells nobody."""


def test_centroids_are_means_and_the_nearest_is_found(generator: Generator) -> None:
    taps = drawn(generator, 3, 0, "test")
    layers, labels = generator.feature_layers, Brightest().labels(taps.images())
    labels[labels == 2] = 1  # the third part never comes
    maps = taps.maps(layers)
    centroids = Centroids(PARTS, layers, [x.shape[1] for x in maps])
    for i in range(3):
        centroids.take([x[i : i + 1] for x in maps], labels[i : i + 1])
    rows = stack_maps(maps, 16).movedim(1, -1).flatten(0, 2).double()
    means = torch.stack([rows[labels.flatten() == k].mean(dim=0) for k in (0, 1)])
    planes = centroids.planes()
    np.testing.assert_allclose(planes.weight[:2], means, atol=1e-5)
    nearest = torch.cdist(rows, means).argmin(dim=1)
    agree = planes.predict(rows.numpy()) == nearest.numpy()
    assert agree.mean() > 0.99 and planes.predict(rows.numpy()).max() == 1


class KilledError(Exception):
    """What ends a fit in a test."""


def test_a_killed_fit_goes_on_bit_for_bit(
    generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolbox_klish.separability.cell._KEPT_EVERY", 2)
    whole = Training(generator, Brightest(), SMALL, seed=3).run(quiet)

    def killed(what: str, done: int, total: int) -> None:
        if done == 4:
            raise KilledError

    with pytest.raises(KilledError):
        Training(generator, Brightest(), SMALL, 3, tmp_path / "state.pth").run(killed)
    again = Training(generator, Brightest(), SMALL, 3, tmp_path / "state.pth")
    assert again.fit.done == 4
    found = again.run(quiet)
    for name in METHODS:
        np.testing.assert_array_equal(found[name].weight, whole[name].weight, err_msg=name)
        np.testing.assert_array_equal(found[name].bias, whole[name].bias, err_msg=name)


def test_linear_classifiers_beat_the_nearest_centroid(generator: Generator) -> None:
    """Parts that planes tell apart, but distances to centres do not (the point of table I)."""
    budget = Budget(steps=30, batch_size=3, test_images=8, lr=0.05)
    scores = judge(
        generator, Brightest(), Training(generator, Brightest(), budget, 0).run(quiet), budget, quiet
    )
    values = {name: scores[name]["pixel-accuracy"] for name in METHODS}
    assert values["LSE"] > values["centroids"] and values["SVM"] > values["centroids"]


def test_tables_and_pictures_are_kept(generator: Generator, tmp_path: Path, capfd: Any) -> None:
    wanted = dict(generators={"one": generator}, teacher=Brightest(), seeds=[0, 1], budget=SMALL, samples=2)
    text = make(tmp_path, **wanted)
    assert "| one | " in text and "paper: StyleGAN2-FFHQ | 82.7 | 81.7 | 49.6" in text and "±" in text
    assert (tmp_path / "one.png").is_file() and not list(tmp_path.rglob("state.pth"))
    found = json.loads((tmp_path / "separability.json").read_text())
    assert len(found["found"]["one"]) == 2 and set(found["found"]["one"][0]) == set(METHODS)
    before = (tmp_path / "one/seed_0/LSE.npz").stat().st_mtime_ns
    assert make(tmp_path, **wanted) == text
    assert (tmp_path / "one/seed_0/LSE.npz").stat().st_mtime_ns == before
    with pytest.raises(ConfigError, match=r"was made with steps=6, now it is 7: take that again"):
        make(tmp_path, **{**wanted, "budget": Budget(steps=7, batch_size=2, test_images=3, lr=0.01)})


def test_the_paper_s_rows_are_those_of_the_paper() -> None:
    """Relative differences as recomputed from table III; of it two are swapped in print."""
    rows = {row[0].removeprefix("paper: "): row for row in published_rows()}
    assert rows["StyleGAN-Bedroom"][4] == "-17.2 %" and rows["StyleGAN-Church"][4] == "-9.8 %"
    assert set(rows) == set(PUBLISHED) and rows["PGGAN-CelebAHQ"][3] == "41.8"


def test_sources(tmp_path: Path) -> None:
    name, generator = generator_of("ours=EmbeddedStyleGAN2", "cpu")
    assert name == "ours" and not generator.training
    (tmp_path / "teacher.json").write_text(json.dumps({"type": "UNet", "part_names": PARTS}))
    assert teacher_of(str(tmp_path / "teacher.json"), "cpu").part_names == PARTS
    assert teacher_of("EmbeddedSegmenter", "cpu").part_names[0] == "background"
    for read, source, words in [
        (generator_of, "EmbeddedStyleGAN", "no generator is called .* - did you mean 'EmbeddedStyleGAN2'"),
        (generator_of, "EmbeddedDiffAE", "EmbeddedDiffAE has no feature layers to read"),
        (generator_of, str(tmp_path / "none.pkl"), "none.pkl"),
        (teacher_of, "UNEt", "no segmenter is called 'UNEt'"),
        (teacher_of, str(tmp_path / "none.json"), "none.json"),
    ]:
        with pytest.raises(ConfigError, match=words):
            read(source, "cpu")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--steps", "1", "--batch-size", "1", "--test-images", "1", "--device", "cpu"]
    command = ["klish", "separability", "EmbeddedStyleGAN2", "--out", str(tmp_path / "out"), *small]
    assert main(command) == 0
    assert "Linear separability" in capsys.readouterr().out
    assert main([*command, "--steps", "0"]) == 1
    assert "steps=0 must be a whole number of 1 or more" in capsys.readouterr().err
    assert main(["klish", "separability", "a=EmbeddedStyleGAN2", "a=EmbeddedStyleGAN2", *small]) == 1
    assert "generators a, a: give each a name" in capsys.readouterr().err
