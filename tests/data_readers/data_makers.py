"""Small data sets in the published formats, made on the fly."""

from __future__ import annotations

import gzip
import pickle
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from toolbox.data.base import ArraySet
from toolbox.data.cifar import _HUNDRED, _TEN

TEN = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def array_set(counts=(6, 8), size=8, seed=0) -> ArraySet:
    """Noise images, ``counts[c]`` of class c, shuffled."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    images = rng.integers(0, 256, (len(labels), size, size, 3)).astype(np.uint8)
    return ArraySet(
        images,
        labels,
        [f"kind {i}" for i in range(len(counts))],
        title="noise",
        factors={"parity": np.arange(len(labels)) % 2},
        factor_names={"parity": ["even", "odd"]},
        captions=[[f"picture {i}"] for i in range(len(labels))],
    )


def mini_cifar(
    root: Path, each: int = 4, keys: type = str, classes: int = 10, protocol: int = 2
) -> np.ndarray:
    """CIFAR-10's files with ``each`` images; returns the training images (N, 3072)."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = []
    for number, name in enumerate((*_TEN.train, *_TEN.test)):
        data = rng.integers(0, 256, (each, 3072)).astype(np.uint8)
        rows.append(data)
        labels = [(number * each + i) % 10 for i in range(each)]
        dump(
            {"data": data, "labels": labels, "filenames": ["x.png"] * each, "batch_label": name},
            folder / name,
            keys,
            protocol,
        )
    dump({"label_names": list(TEN[:classes]), "num_vis": 3072}, folder / _TEN.meta, keys, protocol)
    return np.concatenate(rows[:5])


def mini_cifar100(root: Path) -> None:
    """CIFAR-100's files with 100 images in each part, directly under ``root``."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("train", "test"):
        dump(
            {
                "data": np.zeros((100, 3072), np.uint8),
                "fine_labels": list(range(100)),
                "coarse_labels": [i // 5 for i in range(100)],
            },
            root / name,
        )
    names = ["aquarium_fish", *(f"thing_{i}" for i in range(99))]
    dump(
        {"fine_label_names": names, "coarse_label_names": [f"group_{i}" for i in range(20)]},
        root / _HUNDRED.meta,
    )


def dump(content: dict, path: Path, keys: type = str, protocol: int = 2) -> None:
    """Pickle a dict, its keys as str or bytes."""
    if keys is bytes:
        content = {key.encode(): value for key, value in content.items()}
    path.write_bytes(pickle.dumps(content, protocol))


def pack(root: Path, extra: dict[str, bytes] | None = None) -> Path:
    """The folder of CIFAR-10 as its archive, then without the folder."""
    import io
    import shutil

    folder = root / _TEN.folder
    with tarfile.open(root / _TEN.archive, "w:gz") as tar:
        for name, data in (extra or {}).items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
        tar.add(folder, _TEN.folder)
    shutil.rmtree(folder)
    return root / _TEN.archive


def picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (8, 8), color: object = None) -> Path:
    """A picture file of one colour."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path)  # type: ignore[arg-type]
    return path


def class_folders(root: Path, classes=("cat", "dog"), each: int = 3, size=(8, 8)) -> None:
    """``root/<class>/<i>.png``, each of its own grey."""
    for label, name in enumerate(classes):
        for i in range(each):
            picture(root / name / f"{i}.png", size=size, color=(40 * label + i,) * 3)


def write_idx(path: Path, array: np.ndarray, packed: bool = True) -> None:
    """An IDX file of bytes, gzip or plain."""
    data = (
        bytes([0, 0, 8, array.ndim])
        + np.array(array.shape, ">u4").tobytes()
        + array.astype(np.uint8).tobytes()
    )
    path.write_bytes(gzip.compress(data) if packed else data)
