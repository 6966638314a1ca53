"""A clustering run: what is fitted once stays, what was killed goes on, what its folder answers."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import toolbox
from toolbox.cli.main import main
from toolbox.config import ConfigError
from toolbox.models.stylegan2_embedded import WEIGHTS
from toolbox_klish import storage
from toolbox_klish.algorithm.klish import KLiSH
from toolbox_klish.runs import fitting
from toolbox_klish.runs.fitting import fit, planned
from toolbox_klish.runs.naming import Names
from toolbox_klish.runs.plan import describe
from toolbox_klish.runs.quality import low_clusters, warnings_of
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.segment import score_maps, segment

CONFIG = """
command = 'klish fit'
title = 'Small'
generator = dict(
    type='StyleGAN2Generator', image_size=16, latent_dim=8, style_dim=8, channel_base=64, channel_max=8)
features = dict(images=4, size=16)
clusterers = dict(
    klish=dict(type='KLiSH', clusters=8),
    angles=dict(type='AHC', linkage='arccos', rows=100, classifier_steps=20),
    kasp=dict(type='KASP', centres=8), kmeans=dict(type='LloydKMeans', steps=5))
shown = [3, 5]
final = 4
seeds = [1, 0]
device = 'cpu'
warn_iou = 1.1
quick = dict(seeds=[7], shown=[3], final=3)
"""
FILES = sorted(
    [f"klish-{s}" for s in (0, 1)]
    + [f"{name}-{s}-{k}" for name in ("angles", "kasp", "kmeans") for s in (0, 1) for k in (3, 4, 5)]
)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("configs") / "small.py"
    path.write_text(CONFIG)
    return path


@pytest.fixture(scope="module")
def fitted(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fit(config, tmp_path_factory.mktemp("runs") / "small", pictures=False)


@pytest.fixture
def copied(fitted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fitted, tmp_path / "run"))


def models(folder: Path) -> list[str]:
    return sorted(file.name.removesuffix(".npz") for file in (folder / "models").iterdir())


class TestFolder:
    def test_what_is_in_it(self, fitted: Path) -> None:
        run = ClusterRun.open(fitted)
        assert models(fitted) == FILES == sorted(run.record["fits"]) and not list(fitted.glob("features*"))
        record = run.record
        assert record["finished"] and record["seeds"] == [1, 0]
        assert record["rows"] == 1024 and record["width"] == 20
        assert record["layers"] == ["4x4", "8x8", "16x16"]
        assert record["generator"]["type"] == "StyleGAN2Generator"
        assert record["clusterers"] == ["klish", "angles", "kasp", "kmeans"] == run.clusterers
        assert record["environment"]["versions"]["torch"] == torch.__version__
        assert run.numbers == [5, 4, 3] and run.seeds == [1, 0]
        assert run.default == "klish" and run.names is None

    def test_every_clusterer_answers_for_every_number(self, fitted: Path) -> None:
        run = ClusterRun.open(fitted)
        features = next(iter(run.stream(1, seed=9))).numpy()
        for name in run.clusterers:
            for k in (3, 4, 5):
                classifier = run.classifier(k, name, seed=0)
                assert classifier.n_clusters == k == classifier.scores(features).shape[1]
                planes = 8 if name == "kasp" else k  # a group of centres scores as its best centre does
                assert classifier.weight.shape == (planes, 20) and classifier.bias.shape == (planes,)
        assert run.classifier().n_clusters == 4 and run.classifier(7).n_clusters == 7

    def test_they_are_those_of_a_fit_by_hand(self, fitted: Path) -> None:
        """Three lines of Python give the run's clusters."""
        run = ClusterRun.open(fitted)
        stream = toolbox.feature_stream(run.generator, 4, size=16, seed=1)
        tree = KLiSH(clusters=8, seed=1, device="cpu").fit(stream)
        kept = run.model()
        assert isinstance(kept, KLiSH) and np.array_equal(kept.merges_, tree.merges_)
        assert np.allclose(kept.iou_, tree.iou_, equal_nan=True)
        rows = next(iter(stream))
        assert np.array_equal(run.classifier(5).predict(rows), tree.cut(5).predict(rows))

    def test_streams(self, fitted: Path) -> None:
        run = ClusterRun.open(fitted)
        assert run.stream().seed == 1 and run.stream().rows == 1024
        assert run.stream(2, seed=5, size=8, pixels=3).rows == 6
        assert torch.equal(run.stream().image(0), run.stream(1, seed=1).image(0))

    def test_faults(self, fitted: Path, tmp_path: Path) -> None:
        run = ClusterRun.open(fitted)
        for arguments, words in (
            ((5, "kmean"), r"no clusterer 'kmean' - did you mean 'kmeans'.*; it has klish, angles"),
            ((6, "kmeans"), r"holds no 'kmeans-1-6'.*of kmeans it holds kmeans-0-3, .*--resume"),
            ((5, "klish", 3), r"holds no 'klish-3'"),
        ):
            with pytest.raises(ConfigError, match=words):
                run.classifier(*arguments)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"cut\(k=9\): there is a classifier for each k"):
            run.classifier(9)
        words = r"holds no clustering run.*- did you mean '.*small'.*toolbox klish fit CONFIG"
        with pytest.raises(ConfigError, match=words):
            ClusterRun.open(fitted.parent / "smal")


def test_three_lines_of_python() -> None:
    """From a file to parts, with the words that configs have."""
    generator = toolbox.load_generator(WEIGHTS)
    images = generator.sample(2, seed=0, truncation=0.7)
    features = toolbox.feature_stream(generator, 2, size=16)
    parts = toolbox.build(dict(type="KLiSH", clusters=6, device="cpu")).fit(features).cut(4)
    assert images.shape == (2, 3, 64, 64) and parts.n_clusters == 4 and len(parts.labels_) == 512


class TestResuming:
    def test_nothing_is_fitted_twice(
        self, config: Path, copied: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = {file.name: file.stat().st_mtime_ns for file in (copied / "models").iterdir()}
        (copied / "models" / "kmeans-1-4.npz").unlink()
        fit(config, copied, resume=True, pictures=False)
        after = {file.name: file.stat().st_mtime_ns for file in (copied / "models").iterdir()}
        assert [name for name in after if after[name] != before[name]] == ["kmeans-1-4.npz"]
        told = capsys.readouterr().out
        assert "kmeans-1-4: " in told and "klish" not in told.split("warning")[0]
        assert told.count("features of") == 1

    def test_more_numbers_seeds_and_clusterers(self, config: Path, copied: Path) -> None:
        options = {
            "shown": [3, 5, 6],
            "seeds": [1, 0, 2],
            "clusterers.other": dict(type="LloydKMeans", metric="arccos"),
        }
        fit(config, copied, resume=True, pictures=False, options=options)
        added = set(models(copied)) - set(FILES)
        assert added == {
            *(f"{name}-{s}-6" for name in ("angles", "kasp", "kmeans") for s in (0, 1)),
            "klish-2",
            *(f"{name}-2-{k}" for name in ("angles", "kasp", "kmeans") for k in (3, 4, 5, 6)),
            *(f"other-{s}-{k}" for s in (0, 1, 2) for k in (3, 4, 5, 6)),
        }

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (
                {"features.size": 8, "clusterers.klish.C": 3.0},
                r"features.size: 16 -> 8; clusterers.klish.C: \(not there\) -> 3.0",
            ),
            (
                {"generator.channel_max": 4},
                r"generator.channel_max: 8 -> 4; weights of the generator: '\w{12}' -> '\w{12}'",
            ),
        ],
    )
    def test_another_config_is_refused(
        self, config: Path, copied: Path, options: dict[str, Any], words: str
    ) -> None:
        with pytest.raises(ConfigError, match="holds a run of another config: " + words):
            fit(config, copied, resume=True, options=options)

    @pytest.mark.parametrize("options", [dict(seeds=[0, 1]), dict(final=5)])
    def test_names_are_not_put_on_other_clusters(
        self, config: Path, copied: Path, options: dict[str, Any]
    ) -> None:
        Names.template(4).write(copied / "names.json")
        fit(config, copied, resume=True, options=dict(seeds=[1, 0]), pictures=False)
        words = r"names.json names the clusters of seed 1 at final=4, not those of seed"
        with pytest.raises(ConfigError, match=words):
            fit(config, copied, resume=True, options=options, pictures=False)

    def test_torn_features_of_a_killed_run_are_removed(self, config: Path, copied: Path) -> None:
        (copied / ".lock").write_text("process 123 on a host\n")
        (copied / ".features-1.npy.123.tmp").write_bytes(b"torn")
        others = [copied / "features-mine.npy", copied / "models" / "mine.unfinished"]
        for other in others:
            other.write_bytes(b"somebody else's")
        (copied / "models" / "klish-1.unfinished").write_bytes(b"killed between the model and this")
        fit(config, copied, resume=True, pictures=False)
        assert all(other.is_file() for other in others)
        for other in others:
            other.unlink()
        assert not list(copied.glob("*features*")) and models(copied) == FILES

    @pytest.mark.parametrize(
        ("name", "text", "words"),
        [
            ("record.json", "{", "record.json cannot be read: .*Bring it back, or remove it"),
            ("record.json", "[]", r"record.json must hold an object, not '\[\]'"),
            (
                "models/klish-1.npz",
                "",
                "klish-1.npz is torn, or not of this clusterer .*remove it, and .*--resume",
            ),
            ("models/klish-1.npz", "PK", "klish-1.npz is torn, or not of this clusterer"),
            ("config.json", '{"command": "train"}', "holds a run of `toolbox train`: name another folder"),
            (
                "config.json",
                '{"final":',
                "config.json, which says what the run was begun with, cannot be read",
            ),
        ],
    )
    def test_torn_files(self, config: Path, copied: Path, name: str, text: str, words: str) -> None:
        (copied / name).write_text(text)
        with pytest.raises(ConfigError, match=words):
            fit(config, copied, resume=True, pictures=False)

    def test_models_without_their_config(self, config: Path, copied: Path) -> None:
        """They may be those of anything."""
        for name in ("config.json", "config.py"):
            (copied / name).unlink()
        with pytest.raises(
            ConfigError, match=r"holds fitted clusterers, but no config.json that says of what"
        ):
            fit(config, copied, pictures=False)

    def test_a_run_is_not_written_over(self, config: Path, fitted: Path) -> None:
        words = "holds a clustering run already: continue it with --resume, or name another"
        with pytest.raises(ConfigError, match=words):
            fit(config, fitted)

    @pytest.mark.slow  # so is a fit in test_klish_checkpoints.py
    def test_killed(self, config: Path, fitted: Path, tmp_path: Path) -> None:
        """Killed after a few fits, continued: the same states as never killed."""
        command = [sys.executable, "-m", "toolbox.cli.main", "klish", "fit", str(config), "--no-pictures"]
        command += ["--work-dir", str(tmp_path / "run")]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while child.poll() is None and len(list(tmp_path.glob("run/models/*.npz"))) < 3:
            time.sleep(0.002)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        assert 3 <= len(list(tmp_path.glob("run/models/*.npz"))) < len(FILES)
        fit(config, tmp_path / "run", resume=True, pictures=False)
        assert models(tmp_path / "run") == FILES
        for name in FILES:
            one = np.load(fitted / f"models/{name}.npz")
            other = np.load(tmp_path / f"run/models/{name}.npz")
            with one, other:
                assert all(np.allclose(one[key], other[key], equal_nan=True) for key in one)

    def test_a_disk_that_is_full_of_writes(
        self, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A state that cannot be written leaves those before it, and nothing torn."""
        real, calls = fitting.write_whole, []

        def failing(path: Path, fill: Any) -> None:
            calls.append(path)
            if len(calls) == 3:
                raise OSError(28, "No space left on device", str(path))
            real(path, fill)

        monkeypatch.setattr(fitting, "write_whole", failing)
        with pytest.raises(OSError, match="the disk is full"):
            fit(config, tmp_path / "run", pictures=False)
        assert models(tmp_path / "run") == ["angles-1-5", "klish-1"]


class TestStorage:
    def test_features_that_do_not_fit_in_memory(
        self,
        config: Path,
        fitted: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.setattr(fitting, "free_memory", lambda: 1000)
        options = {"seeds": [1], "features.dtype": "float16"}
        folder = fit(config, tmp_path / "run", pictures=False, options=options)
        assert "on the disk" in capsys.readouterr().out and not list(folder.glob("*.npy"))
        one, other = ClusterRun.open(fitted).model(), ClusterRun.open(folder).model()
        assert np.allclose(one.iou_[0], other.iou_[0], atol=0.05)  # type: ignore[attr-defined]

    def test_a_disk_that_is_too_small(
        self, config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Said before anything is written."""
        monkeypatch.setattr(fitting, "free_memory", lambda: 1000)
        full = shutil._ntuple_diskusage(10, 10, 0)  # type: ignore[attr-defined]
        monkeypatch.setattr(storage.shutil, "disk_usage", lambda folder: full)
        words = r"1,024 x 20 features of float32 need .* GiB.*take fewer images or pixels"
        with pytest.raises(OSError, match=words):
            fit(config, tmp_path / "run")
        assert not (tmp_path / "run").exists() or not list((tmp_path / "run").glob("[!.]*"))

    def test_shared_images(self, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """With features.seed all fits cluster the same images, which are made once."""
        clusterers = dict(_delete_=True, kmeans=dict(type="LloydKMeans"))
        options = {"features.seed": 5, "clusterers": clusterers}
        fit(config, tmp_path / "run", pictures=False, options=options)
        assert capsys.readouterr().out.count("features of 4 images (seed 5)") == 1

    def test_free_memory(self) -> None:
        assert 2**20 < storage.free_memory() < 2**50


class TestFaults:
    @pytest.mark.parametrize(
        ("old", "new", "words"),
        [
            (
                "images=4",
                "images=1, pixels=5",
                r"5 rows \(images x pixels\) cannot make 8 clusters: take more images",
            ),
            ("images=4", "images=4, layers=['32x32']", r"layers: '32x32' is none of the generator's"),
            ("images=4", "images=4, label=1", "label=1: StyleGAN2Generator is unconditional"),
            (
                "centres=8",
                "centres=5",
                r"clusterers.kasp: cannot build KASP: .*clusters=5 must be below centres=5",
            ),
            (
                "generator = dict(",
                "generator = dict(weights='no.pkl')\n_ = dict(",
                r"weights='no.pkl' is not there: .*--quick",
            ),
        ],
    )
    def test_before_any_time_is_spent(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, words: str
    ) -> None:
        path = tmp_path / "changed.py"
        path.write_text(CONFIG.replace(old, new))
        assert main(["klish", "fit", str(path), "--work-dir", str(tmp_path / "run")]) == 1
        assert re.search(words, capsys.readouterr().err)
        assert not (tmp_path / "run").exists()

    def test_constant_features(self, tmp_path: Path) -> None:
        path = tmp_path / "dead.py"
        dead = "features = dict(layers=['4x4.0'], noise='const', "
        path.write_text(CONFIG.replace("features = dict(", dead))
        with pytest.raises(ValueError, match="features are constant: all 300 rows are equal"):
            fit(path, tmp_path / "run", options={"features.size": 1, "features.images": 300})

    def test_low_separability(self, fitted: Path) -> None:
        record = json.loads((fitted / "record.json").read_text())
        assert len(record["warnings"]) == 2
        words = r"klish, seed 1: low separability, IoU below 1.1, of 4 of 4 clusters: \d \(0\.\d\d\)"
        assert re.match(words, record["warnings"][0])
        model: Any = ClusterRun.open(fitted).model()
        assert low_clusters(model, 4, 0.0) == {}
        assert low_clusters(ClusterRun.open(fitted).model("kmeans"), 4, 1.1) == {}
        iou = model.iou_[model.clusters_ - 5, :5]
        assert low_clusters(model, 5, 1.1) == pytest.approx(dict(enumerate(iou)))

    def test_a_filter_that_leaves_too_few(self, fitted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        run = ClusterRun.open(fitted)
        run.config.shown = [8, 7]
        tree = KLiSH(8)
        tree.clusters_, tree.iou_ = 6, np.ones((5, 6))
        monkeypatch.setattr(run, "model", lambda name, seed, k=None: tree)
        words = "klish, seed 1: the filter left 6 clusters, 8 were asked for: start"
        assert warnings_of(run)[0].startswith(words)

    def test_a_threshold_that_ends_too_early(self, fitted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        run = ClusterRun.open(fitted)
        tree = KLiSH(8)
        tree.clusters_, tree.iou_ = 8, np.ones((3, 8))
        monkeypatch.setattr(run, "model", lambda name, seed, k=None: tree)
        words = "klish, seed 1: merging stopped at 6 clusters, above final=4: raise stop_iou, or leave it out"
        assert warnings_of(run)[0] == words


class TestCommand:
    def test_dry_run(self, config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        folder = str(tmp_path / "run")
        assert main(["klish", "fit", str(config), "--quick", "--dry-run", "--work-dir", folder]) == 0
        told = capsys.readouterr().out
        layers = "4x4 (8), 8x8 (8), 16x16 (4)"
        assert f"4 images, 16 x 16 of each: 1,024 rows of 20 ({layers}), truncation 0.5" in told
        assert "4 for each of 1 seeds" in told and "klish: estimate, not a measurement, on core" in told
        assert not (tmp_path / "run").exists()
        run = planned(config, tmp_path / "run", options={"features.pixels": 7})
        assert "7 pixels of each: 28 rows" in describe(run)

    def test_the_script(self, tmp_path: Path) -> None:
        script = Path(__file__).parents[3] / "tools" / "cluster.py"
        command = [sys.executable, str(script), "--help"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0 and "klish fit" in done.stdout and "--resume" in done.stdout


class TestSegments:
    @pytest.mark.parametrize("name", ["klish", "kasp", "angles"])
    def test_they_are_predictions_at_every_pixel(self, fitted: Path, name: str) -> None:
        """Layer by layer, wide layers before they are resized, is the same as all at once."""
        run = ClusterRun.open(fitted)
        stream = run.stream(2, seed=9)
        classifier = run.classifier(4, name)
        for i, chunk in enumerate(stream):
            scores = score_maps(classifier, stream.maps(i), 16)
            expected = torch.from_numpy(classifier.scores(chunk.numpy())).T.reshape(1, -1, 16, 16)
            assert torch.allclose(scores, expected, atol=1e-4 * float(expected.abs().max()))
            found = segment(classifier, stream.maps(i), 16)
            assert torch.equal(found, expected.argmax(dim=1)) or name == "kasp"

    def test_other_layers(self, fitted: Path) -> None:
        run = ClusterRun.open(fitted)
        maps = run.stream(1, layers=["8x8", "16x16"]).maps(0)
        words = r"maps have 8 \+ 4 = 12 channels, the classifier was fitted on 20"
        with pytest.raises(ValueError, match=words):
            segment(run.classifier(), maps, 16)
