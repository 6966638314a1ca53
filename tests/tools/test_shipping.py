"""What ships trained weights: a run's are written and measured, shipped ones are measured and compared."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import load_file

TOOLS = Path(__file__).resolve().parents[2] / "tools"
SCRIPTS = sorted(file.stem for file in TOOLS.glob("ship_*.py"))


@pytest.fixture
def shipping(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Imported as the scripts do it, and forgotten afterwards."""
    monkeypatch.setattr(sys, "path", [str(TOOLS), *sys.path])
    yield importlib.import_module("_shipping")
    for name in ("_shipping", *SCRIPTS):
        sys.modules.pop(name, None)


def a_run(folder: Path) -> Path:
    state = {
        "networks.net.a": torch.ones(2, 2),
        "networks.net.n": torch.tensor(3),
        "networks.other.b": torch.ones(1),
    }
    torch.save(dict(state_dict=state, meta=dict(iter=7)), folder / "iter_7.pth")
    (folder / "last_checkpoint").write_text(str(folder / "iter_7.pth"))
    environment = dict(seed=1, git="abc", device="cpu", versions={}, data=dict(title="Dots"))
    (folder / "environment.json").write_text(json.dumps(environment))
    return folder


def test_a_run_is_shipped_and_measured_again(
    shipping: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights, found = tmp_path / "net.safetensors", {"right": 0.5}

    def ship(run: Path) -> None:
        contents = shipping.newest(run)
        state = shipping.below(contents, "networks.net.")
        shipping.write_weights(state, weights)
        card = shipping.card_of(run, contents, state, weights, "a.py") | dict(limits="dots")
        shipping.write_card(weights.with_suffix(".json"), card)

    def near(one: float, other: float) -> bool:
        return abs(one - other) < 0.1

    shipment = shipping.Shipment(weights, "a.py", ship, lambda: found, near)
    threads = torch.get_num_threads()
    assert shipping.main(shipment, "About.", [str(a_run(tmp_path)), "--threads", str(threads)]) == 0
    kept = load_file(weights)
    assert kept["a"].dtype == torch.float16 and kept["n"].dtype == torch.int64 and set(kept) == {"a", "n"}
    card = json.loads(weights.with_suffix(".json").read_text())
    assert card["metrics"] == found and card["parameters"] == 5 and card["limits"] == "dots"
    assert card["trained"]["iterations"] == 7 and card["trained"]["data"] == "Dots"
    found["right"] = 0.55
    assert shipping.main(shipment, None, []) == 0 and "0.55" in capsys.readouterr().out
    found["right"] = 0.7
    assert shipping.main(shipment, None, []) == 1
    assert "right: the card says 0.5, measured 0.7" in capsys.readouterr().err
    weights.write_bytes(b"other")
    assert shipping.main(shipment, None, []) == 1 and "not the file its card" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="holds no checkpoint"):
        shipping.newest(tmp_path / "empty")


@pytest.mark.parametrize("name", SCRIPTS)
def test_each_script_says_what_it_does(
    shipping: ModuleType, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        importlib.import_module(name).main(["--help"])
    said = capsys.readouterr().out
    assert end.value.code == 0 and "run folder of configs/" in said and f"tools/{name}.py" in said
