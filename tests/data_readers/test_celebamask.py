"""CelebAMask-HQ: parts in the order of its files, the split of CelebA, and what a folder lacks."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toolbox.cli.main import main
from toolbox.data.base import DataError
from toolbox.data.celebamask import LAYERS, PARTS, CelebAMaskHQ, read_mapping, split_of
from toolbox.data.layouts import inspect_layout
from toolbox.data.stream import Stream

SIZE = 16  # of the masks; pictures are twice as large
NUMBERS = {0: 119_613, 1: 162_770, 2: 162_771, 2001: 182_638}


def square(left: int, top: int, right: int, bottom: int) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[top:bottom, left:right] = 255
    return mask


def write_mask(root: Path, face: int, layer: str, mask: np.ndarray) -> None:
    folder = root / "CelebAMask-HQ-mask-anno" / str(face // 2000)
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(folder / f"{face:05d}_{layer}.png")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four faces, in the official layout."""
    folder = tmp_path / "CelebAMask-HQ"
    (folder / "CelebA-HQ-img").mkdir(parents=True)
    lines = ["idx\torig_idx\torig_file"]
    for face, number in NUMBERS.items():
        pixels = np.random.default_rng(face).integers(0, 255, (2 * SIZE, 2 * SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"CelebA-HQ-img/{face}.jpg")
        lines.append(f"{face}\t{number}\t{number + 1:06d}.jpg")
        write_mask(folder, face, "skin", square(2, 2, 14, 14))
    (folder / "CelebA-HQ-to-CelebA-mapping.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_parts_are_painted_in_the_order_of_the_files(root: Path) -> None:
    write_mask(root, 0, "hair", square(0, 0, 16, 4))
    write_mask(root, 0, "l_eye", square(4, 3, 6, 6))
    write_mask(root, 0, "r_eye", np.repeat(square(9, 5, 11, 6)[..., None], 3, axis=2))  # as three channels
    write_mask(root, 0, "neck_l", square(5, 12, 9, 16))
    write_mask(root, 0, "neck", square(2, 12, 6, 16))
    data = CelebAMaskHQ(root, image_size=SIZE)
    mask = data.mask(0)
    assert data.part_names == PARTS and len(PARTS) == 15 and len(data) == 2
    names = {
        place: PARTS[mask[place]] for place in [(0, 0), (3, 4), (4, 4), (5, 10), (8, 8), (13, 5), (15, 15)]
    }
    assert list(names.values()) == ["hair", "hair", "eye", "eye", "skin", "neck", "background"]
    half = CelebAMaskHQ(root, image_size=SIZE // 2).mask(0)
    assert half.shape == (8, 8) and set(np.unique(half)) <= set(np.unique(mask))


def test_every_part_of_the_files_has_a_class() -> None:
    assert len(LAYERS) == 18 and set(LAYERS.values()) == set(PARTS[1:])
    assert list(LAYERS)[:9] == [
        *("skin", "nose", "eye_g", "l_eye", "r_eye", "l_brow", "r_brow", "l_ear", "r_ear")
    ]


def test_the_split_is_celeba_s(root: Path) -> None:
    assert {face: split_of(number) for face, number in read_mapping(root).items()} == {
        0: "train",
        1: "train",
        2: "val",
        2001: "test",
    }
    sizes = [len(CelebAMaskHQ(root, split, image_size=8)) for split in ("train", "val", "test")]
    assert sizes == [2, 1, 1]
    assert len(CelebAMaskHQ(root, train=True, images=1, image_size=8)) == 1
    with pytest.raises(ValueError, match="split='valid': it is one of 'train', 'val', 'test'"):
        CelebAMaskHQ(root, "valid")


def test_it_streams_images_with_masks(root: Path) -> None:
    data = CelebAMaskHQ(root, image_size=SIZE)
    item = Stream(data, masks=True)[0, 0]
    assert item["images"].shape == (3, SIZE, SIZE) and item["mask"].shape == (SIZE, SIZE)
    before = data.fingerprint()
    write_mask(root, 0, "hat", square(0, 0, 3, 3))
    assert CelebAMaskHQ(root, image_size=SIZE).fingerprint() != before


def broken(root: Path, how: str) -> None:
    anno, mapping = root / "CelebAMask-HQ-mask-anno", root / "CelebA-HQ-to-CelebA-mapping.txt"
    if how == "no masks":
        shutil.rmtree(anno)
    elif how == "no mapping":
        mapping.unlink()
    elif how == "another mapping":
        mapping.write_text("idx\n0 1\n")
    elif how == "no picture":
        (root / "CelebA-HQ-img/1.jpg").unlink()
    elif how == "no mask":
        (anno / "0/00001_skin.png").unlink()
    elif how == "torn":
        (anno / "0/00000_skin.png").write_bytes(b"\x89PNG torn")
    elif how == "sizes":
        write_mask(root, 0, "hair", np.zeros((8, 8), np.uint8))


@pytest.mark.parametrize(
    ("how", "words", "fault"),
    [
        ("no masks", "has no folder CelebAMask-HQ-mask-anno", "there is no folder CelebAMask-HQ-mask-anno"),
        ("no mapping", "it splits the faces as CelebA is split", "it splits the faces"),
        ("another mapping", "line 2 is '0 1', expected 'idx orig_idx orig_file'", "line 2 is '0 1'"),
        (
            "no picture",
            "1 pictures are missing, such as 1.jpg",
            "1 pictures are missing in CelebA-HQ-img: 1.jpg",
        ),
        ("no mask", r"1 faces of .* have no mask, such as 1: where is", "1 faces have no mask: 1"),
        ("torn", "00000_skin.png is not a readable mask", "1 files cannot be read: 00000_skin.png"),
        ("sizes", "00000_hair.png has 8 pixels a side, other parts of the face have 16", ""),
    ],
)
def test_what_is_wrong_with_a_folder(root: Path, how: str, words: str, fault: str) -> None:
    broken(root, how)
    with pytest.raises(DataError, match=words):
        CelebAMaskHQ(root, image_size=SIZE).mask(0)
    faults = inspect_layout(root, "celebamask").faults
    assert any(fault in line for line in faults) if fault else not faults


def test_the_command_says_what_is_there(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", str(root), "--layout", "celebamask"]) == 0
    said = capsys.readouterr().out
    assert "train: 2 faces" in said and "4 faces, not 30,000" in said and "can be used" in said
    broken(root, "no picture")
    assert main(["data", str(root), "--layout", "celebamask"]) == 1
