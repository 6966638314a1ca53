"""The reader: every format gives the same record, and nothing else in the toolbox opens weights."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from pickle_makers import Scripted, safetensors_file, state, torch_legacy, torch_zip, torchscript

from toolbox.weights.errors import WeightsError, misfits
from toolbox.weights.reading import read_nested, read_weights

ROOT = Path(__file__).parents[2]


def put(path: Path, content: bytes) -> Path:
    """A file."""
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("make", "name"), [(torch_zip, "torch"), (torch_legacy, "torch-legacy")])
def test_files_of_torch(tmp_path: Path, make: Any, name: str) -> None:
    """Nested names with dots; plain values beside; the one network inside, unwrapped."""
    weights = read_weights(put(tmp_path / "x", make()))
    assert weights.format == name and weights.properties == dict(epoch=3, note="a text")
    assert list(weights.tensors) == [
        "state_dict.weight",
        "state_dict.half",
        "state_dict.flag",
        "state_dict.view",
    ]
    expected = state()["state_dict"]
    assert all(torch.equal(weights.state_dict()[key], value) for key, value in expected.items())
    assert read_nested(tmp_path / "x")["note"] == "a text"


def test_safetensors(tmp_path: Path) -> None:
    """Its metadata is a property."""
    weights = read_weights(put(tmp_path / "x.pth", safetensors_file()))
    assert weights.format == "safetensors" and weights.properties == dict(metadata=dict(note="a text"))
    assert (
        torch.equal(weights.tensors["a"], torch.arange(6.0).reshape(2, 3))
        and weights.tensors["b"].dtype == torch.float16
    )
    assert set(read_nested(tmp_path / "x.pth")["state_dict"]) == {"a", "b", "c"}


def test_safetensors_that_begin_like_a_pickle(tmp_path: Path) -> None:
    """A header of 640 bytes makes the first two those of a pickle of protocol 2."""
    from safetensors.torch import save

    contents = [save({"a": torch.ones(2)}, dict(note="x" * length)) for length in range(480, 600, 8)]
    found = next(content for content in contents if content.startswith(b"\x80\x02"))
    assert torch.equal(read_weights(put(tmp_path / "x", found)).tensors["a"], torch.ones(2))


@pytest.mark.parametrize("traced", [False, True])
def test_torchscript(tmp_path: Path, traced: bool) -> None:
    """Parameters and buffers as in its state dict, no other attribute; half precision and shared tensors."""
    module = Scripted().eval()
    module.body[0].half().float()
    archive = torch.jit.trace(module, torch.ones(1, 2, 2, 2)) if traced else torch.jit.script(module)
    torch.jit.save(archive, tmp_path / "x.pt")
    weights = read_weights(tmp_path / "x.pt")
    expected = module.state_dict()
    assert weights.format == "torchscript" and set(weights.tensors) == set(expected)
    assert all(torch.equal(weights.tensors[key], value) for key, value in expected.items())


def test_code_of_torchscript_is_never_parsed(tmp_path: Path) -> None:
    """An archive whose code is nonsense is read all the same: nothing compiles it."""
    import io
    import zipfile

    source, target = io.BytesIO(torchscript()), io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            lines = old.read(entry)
            if entry.filename.endswith(".py"):
                lines = lines.replace(b"return", b"import os; (((")
            new.writestr(zipfile.ZipInfo(entry.filename), lines)
    raw = target.getvalue()
    assert set(read_weights(put(tmp_path / "x.pt", raw)).tensors) == set(Scripted().state_dict())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": torch.ones(2).to_sparse()}, "sparse, quantised or without data"),
        ({"a.b": torch.ones(1), "a": {"b": torch.ones(1)}}, "two tensors called 'a.b'"),
        ({"a": 1}, "holds no tensors"),
        ({(1, 2): torch.ones(1)}, "a dict has a tuple as key"),
        ({"a": torch.ones(1).expand(2**40)}, "its tensors would take 4,398,046,511,104"),
    ],
)
def test_what_is_not_read(tmp_path: Path, content: Any, message: str) -> None:
    """Named, in one line."""
    with pytest.raises(WeightsError, match=message):
        read_weights(put(tmp_path / "x.pth", torch_zip(content)))


def test_errors_say_what_the_file_is_for(tmp_path: Path) -> None:
    """``what`` comes first."""
    with pytest.raises(WeightsError, match=r"^weights of the generator: .*nothing\.pth does not exist"):
        read_weights(tmp_path / "nothing.pth", what="weights of the generator")


def test_misfits_lists_everything() -> None:
    """Missing, unexpected, other shapes, no tensors; '' where all fits."""
    own = dict(a=torch.ones(2), b=torch.ones(3), c=torch.ones(1))
    assert misfits(own, own) == ""
    assert misfits(dict(b=torch.ones(4), c="text", d=torch.ones(1)), own) == (
        "missing in the file (1): a; not in the model (1): d; other shapes (1): b: (4,) in the file, (3,) in "
        "the model; "
        "not tensors in the file (1): c"
    )
    assert misfits({}, {str(i): torch.ones(1) for i in range(20)}).endswith("7 and 12 more")


def test_nothing_else_opens_weights() -> None:
    """Readers of files that may hold code lie in toolbox/weights; elsewhere torch reads its process's own."""
    opener = re.compile(
        r"(?<!`)torch\.load\(|torch\.jit\.load\(|safe_open\(|safetensors.*import.*load|pickle\.loads?\(|"
        r"joblib\.load\(|hub\.load|allow_pickle=True|weights_only=False"
    )
    known = {
        "toolbox/weights/reading.py",
        "toolbox/testing/metrics.py",
        "toolbox/testing/prompt_learners.py",
        "toolbox/testing/processes.py",
    }
    files: list[Path] = []
    for folder in ("toolbox", "plugins", "tools", "configs"):
        files += (ROOT / folder).rglob("*.py")
    found = {str(path.relative_to(ROOT)) for path in files if opener.search(path.read_text(encoding="utf-8"))}
    assert found <= known, (
        f"{sorted(found - known)} must read files through toolbox.weights.reading.read_weights"
    )
    assert "weights_only=True" in (ROOT / "toolbox/weights/reading.py").read_text(encoding="utf-8")
