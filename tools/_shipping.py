"""What the scripts that ship trained weights share: the newest weights of a run, a card, measuring again."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # works without installation

import torch  # noqa: E402
from torch import Tensor  # noqa: E402

from toolbox.runs.terminal import show  # noqa: E402
from toolbox.training.checkpoints import latest_checkpoint, read_checkpoint  # noqa: E402
from toolbox.weights.card import card_path, file_sha256  # noqa: E402

Metrics = Mapping[str, Any]


@dataclass(frozen=True)
class Shipment:
    """One network that is shipped.

    Attributes:
        weights: its file; the card is the JSON file beside it.
        config: what trains it, for ``--help``.
        ship: writes both of a run's folder, without measurements.
        measure: everything that the card claims.
        near: whether what the card says and what was measured on this machine agree.
        shown: what was measured, for people.
    """

    weights: Path
    config: str
    ship: Callable[[Path], None]
    measure: Callable[[], Metrics]
    near: Callable[[Any, Any], bool]
    shown: Callable[[Any], str] = lambda measured: json.dumps(measured, indent=2)


def main(shipment: Shipment, about: str | None, arguments: Sequence[str] | None = None) -> int:
    """Ship a run and measure it, or measure what is shipped and compare with the card; the exit status."""
    options = _parser(shipment, about).parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.run is not None:
        shipment.ship(options.run)
    path = card_path(shipment.weights)
    card = json.loads(path.read_text(encoding="utf-8"))
    if card["sha256"] != file_sha256(shipment.weights):
        sys.stderr.write(f"{shipment.weights.name} is not the file its card describes\n")
        return 1
    measured = dict(shipment.measure())
    if options.run is not None:
        card["metrics"] = measured
        write_card(path, card)
    show(shipment.shown(measured))
    known = card["metrics"]
    changed = [name for name, value in known.items() if not shipment.near(value, measured[name])]
    for name in changed:
        sys.stderr.write(f"{name}: the card says {known[name]}, measured {measured[name]}\n")
    return 1 if changed else 0


def _parser(shipment: Shipment, about: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", type=Path, help=f"run folder of {shipment.config}")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    return parser


def newest(run: Path) -> dict[str, Any]:
    """Contents of a run's newest checkpoint."""
    checkpoint = latest_checkpoint(run)
    if checkpoint is None:
        raise SystemExit(f"{run} holds no checkpoint: is it a run's folder?")
    return read_checkpoint(checkpoint)


def below(contents: Mapping[str, Any], prefix: str) -> dict[str, Tensor]:
    """The tensors of a checkpoint whose names begin so, without that."""
    named = contents["state_dict"].items()
    return {key.removeprefix(prefix): value for key, value in named if key.startswith(prefix)}


def half(value: Tensor) -> Tensor:
    """As it is stored: float16."""
    return value.half().contiguous() if value.is_floating_point() else value.contiguous()


def write_weights(state: Mapping[str, Tensor], path: Path) -> None:
    """A float16 safetensors file that everyone may read."""
    from safetensors.torch import save_file

    save_file({key: half(value) for key, value in state.items()}, path)
    path.chmod(0o644)  # safetensors writes files for their owner only


def card_of(
    run: Path, contents: Mapping[str, Any], state: Mapping[str, Tensor], weights: Path, config: str
) -> dict[str, Any]:
    """What is known of weights, without measurements; a script adds what is its own."""
    environment = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    data = environment.get("data", {})
    return dict(
        name=weights.stem,
        weights=weights.name,
        sha256=file_sha256(weights),
        dtype="float16",
        parameters=sum(value.numel() for value in state.values()),
        trained=dict(
            config=config,
            iterations=contents["meta"]["iter"],
            **{key: environment[key] for key in ("seed", "git", "device", "versions")},
            data=data.get("title"),
            data_fingerprint=data.get("fingerprint"),
        ),
        metrics={},
    )


def write_card(path: Path, card: Mapping[str, Any]) -> None:
    """A JSON file for people, too."""
    path.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
