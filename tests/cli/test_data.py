"""``toolbox data``: all faults of a folder in one list."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from toolbox.cli.main import main

sys.path.insert(0, str(Path(__file__).parents[1] / "data_readers"))
from caption_makers import BIRDS, COCO, mini_birds, mini_coco, python2_pickle


def printed(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["data", *words])
    return code, capsys.readouterr().out


def test_a_folder_that_can_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = printed(capsys, str(mini_birds(tmp_path / "birds")), "--layout", "cub")
    assert code == 0 and "train: 2 species" in text and text.endswith("can be used\n")
    assert "vocabulary has 12 words, that of published text encoders 5,450" in text
    code, text = printed(capsys, str(mini_coco(tmp_path / "coco")), "--layout", "coco")
    assert code == 0 and "train: 3 categories, 1 images without an object" in text
    code, text = printed(capsys, str(mini_coco(tmp_path / "bare", labels=False)), "--layout", "coco")
    assert code == 0 and "no annotations/instances_train2014.json" in text


def test_all_faults_come_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = mini_birds(tmp_path)
    (root / "CUB_200_2011/bounding_boxes.txt").unlink()
    (root / "train/class_info.pickle").write_bytes(python2_pickle([2, 2]))
    (root / "test/filenames.pickle").write_bytes(b"]K\x01")
    (root / "text" / f"{BIRDS['train'][0]}.txt").unlink()
    (root / "CUB_200_2011/images" / f"{BIRDS['train'][1]}.jpg").unlink()
    (root / "CUB_200_2011/images" / f"{BIRDS['train'][2]}.jpg").write_bytes(b"no picture")
    code, text = printed(capsys, str(root), "--layout", "cub")
    assert code == 1 and "6 faults:" in text
    for fault in (
        "bounding_boxes.txt is missing",
        "2 classes for 3 images",
        "filenames.pickle cannot be read",
        "1 train caption files cannot be used",
        "1 train pictures are missing",
        "1 train pictures cannot be read",
    ):
        assert fault in text


def test_coco_with_torn_captions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = mini_coco(tmp_path)
    (root / "captions.pickle").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    (root / "test/filenames.pickle").write_bytes(python2_pickle([COCO["test"][0], "another"]))
    code, text = printed(capsys, str(root), "--layout", "coco")
    assert code == 1 and "captions.pickle was not read: its pickle asks for the operation GLOBAL" in text
    assert "1 test pictures are missing" in text and "'another' does not end in the number" in text


def test_a_missing_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", str(tmp_path / "none"), "--layout", "cub"]) == 1
    assert "none is no folder" in capsys.readouterr().err
