"""Release files: both there or neither, and what is read is what the card describes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

import toolbox.weights.card as module
from toolbox.weights.card import card_path, read_with_card, write_with_card
from toolbox.weights.errors import WeightsError


def tensors() -> dict[str, torch.Tensor]:
    """A view, an empty one, two that share data, every common type."""
    whole = torch.arange(12.0).reshape(3, 4)
    return dict(
        whole=whole,
        view=whole[:, 1:3],
        turned=whole.T,
        none=torch.zeros(0, 3),
        half=whole.half(),
        flag=whole > 3,
        number=torch.tensor(7),
        bf=whole.bfloat16(),
    )


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Values bit for bit; the card with name, digest and count."""
    card = dict(kind="release", metrics=[{"fid": 3.5}, {"x": float("nan")}])
    path = write_with_card(tmp_path / "deep" / "x.safetensors", tensors(), card)
    read, card = read_with_card(path)
    assert set(read) == set(tensors()) and all(
        torch.equal(read[key], value) for key, value in tensors().items()
    )
    assert (card["file"], card["tensors"], card["metrics"]) == (
        "x.safetensors",
        8,
        [{"fid": 3.5}, {"x": "NaN"}],
    )
    assert sorted(os.listdir(path.parent)) == ["x.json", "x.safetensors"]
    assert path.stat().st_mode == card_path(path).stat().st_mode


def test_another_file_than_the_cards_is_refused(tmp_path: Path) -> None:
    """One flipped bit; another file; no card; no file; a card that is none."""
    path = write_with_card(tmp_path / "x.safetensors", tensors(), {})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        WeightsError, match=r"x\.safetensors is not the file that its card x\.json describes: sha256"
    ):
        read_with_card(path)
    card_path(path).write_text("[" * 100_000)
    with pytest.raises(WeightsError, match=r"x\.json cannot be read as a card"):
        read_with_card(path)
    card_path(path).write_text("[1]")
    with pytest.raises(WeightsError, match=r"x\.json holds a list, not a card"):
        read_with_card(path)
    card_path(path).unlink()
    with pytest.raises(WeightsError, match="has no card beside it"):
        read_with_card(path)


def test_nothing_is_written_over_unasked(tmp_path: Path) -> None:
    """Either file counts."""
    write_with_card(tmp_path / "x.safetensors", tensors(), {})
    (tmp_path / "x.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"x\.json exists already: .* --force"):
        write_with_card(tmp_path / "x.safetensors", tensors(), {})
    write_with_card(tmp_path / "x.safetensors", tensors(), {}, replace=True)
    assert read_with_card(tmp_path / "x.safetensors")[1]["tensors"] == 8


@pytest.mark.parametrize("fault", ["tensors", "card", "disk"])
def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """Neither file, and nothing beside them."""

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    card: dict[str, Any] = dict(a={1, 2}) if fault == "card" else {}
    given: dict[str, Any] = dict(a="text") if fault == "tensors" else tensors()
    if fault == "disk":
        monkeypatch.setattr(module, "_write_synced", full)
    with pytest.raises(WeightsError, match=r"cannot write .*x\.safetensors .*nothing was left behind"):
        write_with_card(tmp_path / "x.safetensors", given, card)
    assert os.listdir(tmp_path) == []


def test_a_release_is_called_safetensors(tmp_path: Path) -> None:
    """The suffix is part of the format; the message has the name to use."""
    with pytest.raises(WeightsError, match=r"write x\.safetensors"):
        write_with_card(tmp_path / "x.pth", tensors(), {})


def test_the_card_is_plain_json(tmp_path: Path) -> None:
    """Any JSON reader reads it, umlauts and all."""
    path = write_with_card(tmp_path / "x.safetensors", tensors(), dict(title="Schuhe, größer"))
    assert json.loads(card_path(path).read_text(encoding="utf-8"))["title"] == "Schuhe, größer"
