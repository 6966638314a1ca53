"""Pairs of a run: what lies in the folder, and that image i is a function of the settings and i alone."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from toolbox import testing
from toolbox.cli.main import main
from toolbox.config import ConfigError
from toolbox.data.mask_shards import MaskShards, picture_name, shard_file
from toolbox.data.zipped import ZippedImages
from toolbox.runs import files
from toolbox.runs.files import WriteError
from toolbox_klish.pairs import make, shards
from toolbox_klish.pairs.make import make_pairs, record_of
from toolbox_klish.pairs.settings import PairSettings
from toolbox_klish.pairs.source import PairSource
from toolbox_klish.runs.fitting import fit
from toolbox_klish.runs.naming import Names
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.segment import segment

CONFIG = """
command = 'klish fit'
title = 'Small'
generator = dict(type={generator})
features = dict(images=2, size=16)
clusterers = dict(klish=dict(type='KLiSH', clusters=6), kmeans=dict(type='LloydKMeans', steps=5))
shown = [3]
final = 4
seeds = [1]
device = 'cpu'
"""
STYLE = "'StyleGAN2Generator', image_size=16, latent_dim=8, style_dim=8, channel_base=64, channel_max=8"
CLASSES = "'BigGANGenerator', image_size=16, latent_dim=12, channels=4, n_conditions=3, attention=False"
SMALL = PairSettings(images=10, shard=4, batch_size=3, seed=5)


def fitted_run(folder: Path, generator: str = STYLE) -> Path:
    config = folder / "small.py"
    config.write_text(CONFIG.format(generator=generator))
    return fit(config, folder / "run", pictures=False)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fitted_run(tmp_path_factory.mktemp("pairs"))


@pytest.fixture
def copied(fitted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fitted, tmp_path / "run"))


@pytest.fixture(scope="module")
def made(fitted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pairs(ClusterRun.open(fitted), tmp_path_factory.mktemp("made") / "pairs", SMALL)


def digests(folder: Path) -> dict[str, str]:
    """{file: digest} of all but the lock."""
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != ".lock")
    return {
        file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files
    }


class TestFolder:
    def test_what_is_in_it(self, made: Path) -> None:
        ends = dict(images="zip", masks="zip", latents="npz")
        files = {f"{kind}/shard-0000{n}.{end}" for kind, end in ends.items() for n in range(3)}
        assert set(digests(made)) == files | {"pairs.json", "preview.png"}
        record = json.loads((made / "pairs.json").read_text())
        assert (record["images"], record["shard"], record["size"]) == (10, 4, [16, 16])
        assert (record["seed"], record["truncation"], record["noise"]) == (5, 0.7, "const")
        assert record["part_names"] == [f"cluster {k}" for k in range(4)] == list(record["groups"])
        assert sum(record["pixels"].values()) == 10 * 16 * 16
        origin = record["origin"]
        assert (origin["clusterer"], origin["clusters"], origin["fit"]) == ("klish", 4, 1)
        assert origin["layers"] == ["4x4", "8x8", "16x16"] and len(origin["weights"]) == 64

    def test_zipfile_and_pillow_read_it(self, made: Path, fitted: Path) -> None:
        run = ClusterRun.open(fitted)
        stream = run.stream(10, seed=5, size=16, truncation=0.7, noise="const")
        with zipfile.ZipFile(made / "images/shard-00001.zip") as images:
            assert images.namelist() == [*(f"00000/img0000000{i}.png" for i in range(4, 8)), "dataset.json"]
            assert json.loads(images.read("dataset.json")) == {"labels": None}
            picture = Image.open(io.BytesIO(images.read("00000/img00000005.png")))
        with zipfile.ZipFile(made / "masks/shard-00001.zip") as masks:
            mask = Image.open(io.BytesIO(masks.read("00000/img00000005.png")))
        assert (picture.mode, mask.mode) == ("RGB", "L")
        expected = ((stream.image(5) + 1) * 127.5).round().permute(1, 2, 0).numpy()
        assert np.abs(np.asarray(picture) - expected).max() <= 1  # batches round otherwise
        own = segment(run.classifier(), stream.maps(5), 16)[0].numpy()
        assert (np.asarray(mask) == own).mean() > 0.99

    def test_our_readers_read_it(self, made: Path) -> None:
        data = MaskShards(made, None)
        assert len(data) == 10 and data.mask(9).max() <= 3
        np.testing.assert_array_equal(ZippedImages(made / "images/shard-00002.zip").image(1), data.image(9))
        assert Image.open(made / "preview.png").size == (10 * (32 + 4) + 4, 16 + 8)

    def test_latents(self, made: Path, fitted: Path) -> None:
        with np.load(made / "latents/shard-00001.npz") as arrays:
            assert sorted(arrays) == ["latents", "pixels"] and arrays["pixels"].shape == (4, 4)
            latents = torch.from_numpy(arrays["latents"])
        images = ClusterRun.open(fitted).generator.truncated(latents[1:2], None, 0.7)
        pixels = (images.detach().clamp(-1, 1) + 1) * 127.5
        found = MaskShards(made, None).image(5).transpose(2, 0, 1)
        assert np.abs(found - pixels[0].round().numpy()).max() <= 1


class TestNothingDependsOnTheWay:
    def test_more_images(self, made: Path, fitted: Path, tmp_path: Path) -> None:
        """Five images that grow to ten are the ten; the folder can be used before and in between."""
        run, folder = ClusterRun.open(fitted), tmp_path / "pairs"
        make_pairs(run, folder, PairSettings(**{**vars(SMALL), "images": 5}))
        assert len(MaskShards(folder, None)) == 5
        make_pairs(run, folder, SMALL, resume=True)
        assert digests(folder) == digests(made)

    def test_two_ranks(self, made: Path, fitted: Path, tmp_path: Path) -> None:
        testing.run_ranks(make_on_rank, fitted, tmp_path / "pairs")
        assert digests(tmp_path / "pairs") == digests(made)

    def test_kill_and_resume(self, made: Path, fitted: Path, tmp_path: Path) -> None:
        """SIGKILL between two batches of the second shard, whose file has been begun."""
        folder = tmp_path / "pairs"
        process = subprocess.Popen([sys.executable, "-c", SLOW, str(fitted), str(folder)])
        try:
            wait_for(lambda: list(folder.glob("images/.shard-00001*.tmp")), process)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert shard_file(folder, "latents", 0).is_file() and not (folder / "pairs.json").exists()
        make_pairs(ClusterRun.open(fitted), folder, SMALL, resume=True)
        assert digests(folder) == digests(made)

    @pytest.mark.slow
    @pytest.mark.parametrize("stage", range(12))
    def test_a_kill_at_every_stage(self, made: Path, fitted: Path, tmp_path: Path, stage: int) -> None:
        """The process ends without a word before a file takes its name, the record first and last."""
        folder = tmp_path / "pairs"
        with pytest.raises(RuntimeError, match="rank 0"):
            testing.run_ranks(make_until, fitted, folder, stage, world=1)
        assert list(folder.rglob(".*.tmp"))
        make_pairs(ClusterRun.open(fitted), folder, SMALL, resume=True)
        assert digests(folder) == digests(made)

    @pytest.mark.parametrize("kind", shards.KINDS)
    def test_a_torn_file_is_written_anew(self, made: Path, fitted: Path, tmp_path: Path, kind: str) -> None:
        folder = Path(shutil.copytree(made, tmp_path / "pairs"))
        file = shard_file(folder, kind, 1)
        file.write_bytes(file.read_bytes()[:100])
        make_pairs(ClusterRun.open(fitted), folder, SMALL, resume=True)
        assert digests(folder) == digests(made)

    def test_random_noise(self, fitted: Path, tmp_path: Path) -> None:
        """Of the image's own seed: batches make no difference at all."""
        run = ClusterRun.open(fitted)
        masks = []
        for size in (1, 2):
            settings = PairSettings(images=3, noise="random", batch_size=size)
            pairs = PairSource(run, settings).draw(range(3))
            masks.append((pairs.images.tobytes(), pairs.masks.tobytes()))
        assert masks[0] == masks[1]


SLOW = """
import sys, time
from toolbox_klish.pairs import source
from toolbox_klish.pairs.make import make_pairs
from toolbox_klish.pairs.settings import PairSettings
from toolbox_klish.runs.run import ClusterRun

draw = source.PairSource.draw


def slowly(self, numbers):
    time.sleep(60 if numbers[0] == 7 else 0)
    return draw(self, numbers)


source.PairSource.draw = slowly
settings = PairSettings(images=10, shard=4, batch_size=3, seed=5)
make_pairs(ClusterRun.open(sys.argv[1]), sys.argv[2], settings)
"""


def make_on_rank(fitted: Path, folder: Path) -> None:
    make_pairs(ClusterRun.open(fitted), folder, SMALL)


def make_until(fitted: Path, folder: Path, stage: int) -> None:
    """End as a killed process does, before file number ``stage`` takes its name."""
    put, calls = files._put_in_place, []

    def put_or_end(part: Path, path: Path) -> None:
        calls.append(path)
        if len(calls) > stage:
            os._exit(9)
        put(part, path)

    files._put_in_place = put_or_end
    make_pairs(ClusterRun.open(fitted), folder, SMALL)


def wait_for(condition: Any, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)


class TestFullDisk:
    def test_while_writing(
        self, made: Path, fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The finished shards stay, nothing else does, and the rest is written once there is room."""
        run, folder = ClusterRun.open(fitted), tmp_path / "pairs"
        monkeypatch.setattr(shards, "encode_mask", failing(shards.encode_mask, after=6))
        words = r"the disk is full; 1 finished shards \(4 images\) are kept. Free some space and .* --resume"
        with pytest.raises(WriteError, match=words):
            make_pairs(run, folder, SMALL)
        assert not list(folder.rglob("*.tmp")) and not shard_file(folder, "images", 1).exists()
        monkeypatch.undo()
        make_pairs(run, folder, SMALL, resume=True)
        assert digests(folder) == digests(made)

    def test_room_is_looked_for_first(
        self, fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(make.shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(9, 9, 9999))
        words = r"10 pairs of 16 pixels need about .* MiB, .* has 0.0 MiB free: make fewer"
        with pytest.raises(OSError, match=words):
            make_pairs(ClusterRun.open(fitted), tmp_path / "pairs", SMALL)
        assert not (tmp_path / "pairs").exists()


def failing(function: Any, after: int) -> Any:
    """The function, until the disk is full."""
    calls = []

    def called(*args: Any) -> Any:
        calls.append(1)
        if len(calls) > after:
            raise OSError(28, os.strerror(28))
        return function(*args)

    return called


class TestNames:
    def test_named_clusters_are_the_classes(self, copied: Path, tmp_path: Path) -> None:
        Names(4, {"hair": [3, 0]}).write(copied / "names.json")
        run = ClusterRun.open(copied)
        data = MaskShards(make_pairs(run, tmp_path / "pairs", SMALL), None)
        assert data.part_names == ["hair", "cluster 1", "cluster 2"]
        assert data.record["groups"]["hair"] == [0, 3]
        plain = MaskShards(make_pairs(run, tmp_path / "plain", SMALL, fit=1, clusters=3), None)
        assert plain.part_names == ["cluster 0", "cluster 1", "cluster 2"]

    def test_any_clusterer(self, fitted: Path, tmp_path: Path) -> None:
        folder = make_pairs(ClusterRun.open(fitted), tmp_path / "pairs", SMALL, "kmeans", 3)
        assert json.loads((folder / "pairs.json").read_text())["origin"]["clusterer"] == "kmeans"
        assert MaskShards(folder, None).mask(0).max() <= 2


class TestSettings:
    def test_border(self, fitted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """What mostly lies in the border is part 0, the rest is numbered anew; both lose their rows."""
        rows = torch.tensor([0] * 3 + [2] * 5 + [1] * 4 + [3] * 4)  # of each image's 16
        maps = rows.view(1, 16, 1).expand(3, 16, 16)
        monkeypatch.setattr("toolbox_klish.pairs.source.segment", lambda *given: maps)
        source = PairSource(ClusterRun.open(fitted), PairSettings(images=3, border_rows=3, batch_size=3))
        assert source.part_names == ["background", "cluster 1", "cluster 2"]
        assert source.groups["background"] == [0, 3]
        assert record_of(source)["size"] == [16, 10]
        pairs = source.draw(range(3))
        assert pairs.masks.shape == (3, 10, 16) and pairs.images.shape == (3, 10, 16, 3)
        assert pairs.masks[0, :, 0].tolist() == [2] * 5 + [1] * 4 + [0]
        assert pairs.pixels[0].tolist() == [16, 64, 80]

    def test_a_border_where_a_cluster_is_called_background(
        self, copied: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is that part, wherever it lies."""
        Names(4, {"hair": [0], "background": [2]}).write(copied / "names.json")
        rows = torch.tensor(
            [2] * 3 + [1] * 5 + [0] * 5 + [3] * 3
        )  # places: hair, background, clusters 1 and 3
        maps = rows.view(1, 16, 1).expand(1, 16, 16)
        monkeypatch.setattr("toolbox_klish.pairs.source.segment", lambda *given: maps)
        source = PairSource(ClusterRun.open(copied), PairSettings(images=1, border_rows=3, batch_size=1))
        assert source.groups == {"background": [1, 2, 3], "hair": [0]}
        assert source.draw([0]).masks[0, :, 0].tolist() == [0] * 5 + [1] * 5

    def test_jpeg_and_size(self, fitted: Path, tmp_path: Path) -> None:
        settings = PairSettings(images=3, jpeg=95, size=32)
        data = MaskShards(make_pairs(ClusterRun.open(fitted), tmp_path / "pairs", settings), None)
        assert data.image_size == 32 and data.mask(2).shape == (32, 32)
        with zipfile.ZipFile(tmp_path / "pairs/images/shard-00000.zip") as images:
            assert Image.open(io.BytesIO(images.read(picture_name(1, ".jpg")))).format == "JPEG"

    def test_classes(self, tmp_path: Path) -> None:
        run = ClusterRun.open(fitted_run(tmp_path, CLASSES))
        data = MaskShards(make_pairs(run, tmp_path / "pairs", SMALL), None)
        assert data.classes == ["class 0", "class 1", "class 2"] and len(set(data.labels)) > 1
        assert data.record["truncation"] == 1
        one = MaskShards(make_pairs(run, tmp_path / "one", PairSettings(images=3, label=2)), None)
        assert one.labels.tolist() == [2, 2, 2]

    @pytest.mark.parametrize(
        ("given", "words"),
        [
            (dict(images=0), "images=0 must"),
            (dict(truncation=0.0), r"truncation=0.0 must"),
            (dict(noise="fixed"), "noise='fixed' is unknown"),
            (dict(jpeg=101), "jpeg=101 must be a quality from 1 to 100"),
            (dict(border_rows=-1), "border_rows=-1 must"),
        ],
    )
    def test_slips(self, given: dict[str, Any], words: str) -> None:
        with pytest.raises(ValueError, match=words):
            PairSettings(**given)

    def test_what_the_generator_does_not_have(self, fitted: Path) -> None:
        run = ClusterRun.open(fitted)
        with pytest.raises(ValueError, match="border_rows=8 leaves none of 16 rows: take at most 7"):
            PairSource(run, PairSettings(border_rows=8))
        with pytest.raises(ValueError, match="label=1: StyleGAN2Generator is unconditional"):
            PairSource(run, PairSettings(label=1))
        with pytest.raises(ConfigError, match="the run has no clusterer 'kmean' - did you mean 'kmeans'"):
            PairSource(run, SMALL, "kmean")


class TestOtherFolders:
    def test_other_settings(self, made: Path, fitted: Path) -> None:
        run = ClusterRun.open(fitted)
        with pytest.raises(ConfigError, match="holds pairs already: go on with --resume, or name another"):
            make_pairs(run, made, SMALL)
        other = PairSettings(**{**vars(SMALL), "truncation": 0.5})
        with pytest.raises(
            ConfigError, match=r"were made otherwise: truncation: 0.7 -> 0.5. Give the settings"
        ):
            make_pairs(run, made, other, resume=True)
        with pytest.raises(ConfigError, match=r"origin.clusterer: 'klish' -> 'kmeans'"):
            make_pairs(run, made, SMALL, "kmeans", resume=True)
        fewer = PairSettings(**{**vars(SMALL), "images": 9})
        with pytest.raises(
            ConfigError, match=r"holds 10 images, more than images=9: .* MaskShards takes images=9"
        ):
            make_pairs(run, made, fewer, resume=True)

    def test_foreign_folder(self, fitted: Path, tmp_path: Path) -> None:
        (tmp_path / "masks").mkdir()
        with pytest.raises(ConfigError, match=r"has a folder 'masks', but no pairs.json"):
            make_pairs(ClusterRun.open(fitted), tmp_path, SMALL)
        assert [file.name for file in tmp_path.iterdir()] == ["masks"]

    def test_another_generator(self, copied: Path, tmp_path: Path) -> None:
        run = ClusterRun.open(copied)
        with torch.no_grad():
            run.generator.mapping.w_avg += 1
        with pytest.raises(ConfigError, match="the weights of its generator have changed"):
            make_pairs(run, tmp_path / "pairs", SMALL)
        assert not (tmp_path / "pairs").exists()

    def test_other_taps(self, copied: Path, tmp_path: Path) -> None:
        run = ClusterRun.open(copied)
        run.config.features.layers = ["8x8", "16x16"]
        words = (
            r"were fitted at 4x4, 8x8, 16x16 \(20 channels\), the features are now those of 8x8, 16x16 \(12\)"
        )
        with pytest.raises(ConfigError, match=words):
            make_pairs(run, tmp_path / "pairs", SMALL)


def test_command(fitted: Path, made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "pairs"
    options = ["--images", "10", "--shard", "4", "--batch-size", "3", "--seed", "5"]
    assert main(["klish", "pairs", str(fitted), "-o", str(folder), *options]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(folder)
    assert digests(folder) == digests(made)
    assert main(["klish", "pairs", str(fitted), "-o", str(folder), *options]) != 0
    assert "--resume" in capsys.readouterr().err
