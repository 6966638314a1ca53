"""`toolbox convert`: what it writes, what it lists, and one line for what it refuses."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.models.klish_names import klish_stylegan2_state
from toolbox.cli.main import main
from toolbox.models.stylegan2 import StyleGAN2Generator
from toolbox.registry import build
from toolbox.weights.card import read_with_card

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "weights"))

from pickle_makers import nvidia_pickle, snapshot, torch_zip, torchscript  # noqa: E402


@pytest.fixture
def network_pickle(tmp_path: Path) -> Path:
    """A snapshot in NVIDIA's layout."""
    path = tmp_path / "network-snapshot.pkl"
    path.write_bytes(nvidia_pickle())
    return path


def test_one_network_of_a_pickle(network_pickle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tensors by their own names, constructor arguments and the source's digest in the card."""
    out = network_pickle.with_name("ema.safetensors")
    assert (
        main(
            [
                "convert",
                str(network_pickle),
                "-o",
                str(out),
                "--network",
                "G_ema",
                "--licence",
                "CC BY-NC 4.0",
            ]
        )
        == 0
    )
    assert capsys.readouterr().out == f"{out}\n"
    tensors, card = read_with_card(out)
    expected = snapshot()["G_ema"].state_dict()
    assert set(tensors) == set(expected) and all(torch.equal(tensors[key], expected[key]) for key in expected)
    assert card["facts"]["class"] == "Generator" and card["facts"]["init_kwargs"]["z_dim"] == 8
    assert (
        card["source"]["format"] == "nvidia-pickle"
        and card["licence"] == "CC BY-NC 4.0"
        and len(card["source"]["sha256"]) == 64
    )


@pytest.mark.parametrize(("name", "make"), [("a.pth", torch_zip), ("b.pt", torchscript)])
def test_whole_files(tmp_path: Path, name: str, make: object) -> None:
    """All tensors, with their prefixes."""
    (tmp_path / name).write_bytes(make())  # type: ignore[operator]
    assert main(["convert", str(tmp_path / name), "-o", str(tmp_path / "out.safetensors")]) == 0
    tensors, card = read_with_card(tmp_path / "out.safetensors")
    assert card["tensors"] == len(tensors) > 3


def test_list_writes_nothing(network_pickle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Format, facts, names and shapes."""
    assert main(["convert", str(network_pickle), "--list"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("format: nvidia-pickle\n") and '"class": "Generator"' in said
    assert "G_ema.synthesis.b4.conv1.weight" in said and "float32  (4, 3, 3, 3)" in said
    assert os.listdir(network_pickle.parent) == [network_pickle.name]


def test_list_of_one_network(network_pickle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The facts are JSON."""
    assert main(["convert", str(network_pickle), "--list", "--network", "D"]) == 0
    facts, _, rest = capsys.readouterr().out.partition("facts: ")[2].partition("\n}\n")
    assert json.loads(facts + "}")["class"] == "SynthesisLayer" and rest.startswith("4 tensors")


class Evil:
    """Makes a folder when it is unpickled."""

    def __reduce__(self) -> object:
        return os.mkdir, ("ran",)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "evil.pkl",
            pickle.dumps(dict(G_ema=Evil())),
            "asks for the name posix.mkdir, which weights never need",
        ),
        ("evil.pth", torch_zip(dict(a=Evil())), "asks for the name posix.mkdir, which weights never need"),
        ("torn.pth", torch_zip()[:500], "is damaged"),
        ("page.pkl", b"<html>Too many requests</html>", "is a web page: the download failed"),
        ("empty.safetensors", b"", "is empty"),
        ("text.bin", b"hello", "is no weights file"),
    ],
)
def test_refusals_are_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes,
    message: str,
) -> None:
    """On stderr, with a status that is not 0; nothing is written, nothing runs."""
    monkeypatch.chdir(tmp_path)
    Path(name).write_bytes(content)
    assert main(["convert", name, "-o", "out.safetensors"]) == 1
    said = capsys.readouterr()
    assert (
        message in said.err and said.err.startswith("error: ") and said.err.count("\n") == 1 and not said.out
    )
    assert os.listdir() == [name]


def test_unknown_network_missing_out_and_files_in_the_way(
    network_pickle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with what to do."""
    out = str(network_pickle.with_name("x.safetensors"))
    for words, message in (
        (["-o", out, "--network", "G_em"], "did you mean 'G_ema'"),
        ([], "say where to write with -o"),
        (["-o", "x.pt"], "write x.safetensors"),
    ):
        assert main(["convert", str(network_pickle), *words]) == 1
        assert message in capsys.readouterr().err
    assert main(["convert", str(network_pickle), "-o", out]) == 0
    assert main(["convert", str(network_pickle), "-o", out]) == 1
    assert "exist already: name another file, or replace with --force" in capsys.readouterr().err
    assert main(["convert", str(network_pickle), "-o", out, "--force"]) == 0


def test_the_command_from_the_outside(network_pickle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of its own: status and stderr of a refusal."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    script = [sys.executable, "-m", "toolbox.cli.main", "convert"]
    network_pickle.write_bytes(pickle.dumps(Evil()))
    answer = subprocess.run(
        [*script, str(network_pickle), "--list"], capture_output=True, text=True, cwd=network_pickle.parent
    )
    assert answer.returncode == 1 and answer.stderr.count("\n") == 1 and "Traceback" not in answer.stderr


def test_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """KLiSH's names become ours; the card's network takes them and makes images."""
    theirs = klish_stylegan2_state(
        StyleGAN2Generator(16, 0, 8, 8, channel_base=64, channel_max=8, mapping_layers=2)
    )
    torch.save(dict(g_ema=theirs, step=3), tmp_path / "a.pth")
    out = tmp_path / "a.safetensors"
    convert = ["convert", str(tmp_path / "a.pth"), "-o", str(out)]
    assert main([*convert, "--network", "g_ema", "--layout", "auto"]) == 0
    tensors, card = read_with_card(out)
    network = build(card["network"], kind="generator")
    network.load_state_dict(tensors)
    assert card["network"]["type"] == "StyleGAN2Generator" and network(torch.zeros(1, 8)).shape == (
        1,
        3,
        16,
        16,
    )
    capsys.readouterr()
    assert main([*convert, "--layout", "auto", "--force"]) == 1
    assert "are in none of the known layouts" in capsys.readouterr().err
    assert main([*convert, "--network", "g_ema", "--layout", "klish-pggan", "--force"]) == 1
    assert "layout 'klish-pggan': not of this layout" in capsys.readouterr().err
