"""A trained game reduced to what sampling needs: generator, what that borrows, conditioner, and a card."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

import toolbox
from toolbox.catalog import near_miss
from toolbox.interfaces import Condition
from toolbox.models.declared import check_declared, check_numbers
from toolbox.models.from_files import types_inside
from toolbox.registry import BuildError
from toolbox.runs.environment import read_record
from toolbox.runs.records import read_records
from toolbox.training.checkpoints import CheckpointError, load_whole
from toolbox.training.game.networks import build_conditioner, build_networks
from toolbox.training.game.phases import PlanError, check_members
from toolbox.training.game.state import check_frozen, frozen_fingerprints
from toolbox.weights.card import card_path, read_card, read_with_card, write_with_card
from toolbox.weights.errors import WeightsError, reason, short

if TYPE_CHECKING:
    from mmengine import Config

    from toolbox.training.game.game import Game

KIND = "release"
_OF_THE_MACHINE = (
    "work_dir",
    "load_from",
    "launcher",
    "experiment_name",
    "plugins",
    "env_cfg",
    "visualizer",
    "log_level",
)
_OF_THE_GAME = ("uses", "weights", "frozen", "freeze_layers")


class ReleasedGame(nn.Module):
    """Stands in for the Game where one samples (:class:`toolbox.training.game.sampler.Sampler`).

    Args:
        model: ``model`` of the run's config.
        stored: names of the networks whose weights are in the file: the generator, and trained ones that it
            borrows.
        seed: of the run.
        iteration: that the weights are of.

    Raises:
        PlanError: for a stored network that the model does not describe.
        CheckpointError: for a model that names anything but registered components.
        BuildError: for a component that is not installed here.
    """

    def __init__(
        self, model: Mapping[str, Any], stored: list[str], seed: int = 0, iteration: int = 0
    ) -> None:
        super().__init__()
        self.generator = str(model.get("generator", "generator"))
        conditioner = model.get("conditioner")
        needed = needed_networks(model, self.generator)
        configs = {name: dict(model["networks"][name]) for name in needed}
        check_components([configs, conditioner])
        check_members(stored, configs, "the card")
        for name in stored:
            if configs[name].get("weights") is not None:
                configs[name]["weights"] = dict(checkpoint=None)  # they come from this file
        self.networks, self.from_outside = build_networks(configs, stored, seed)
        self.conditioner = build_conditioner(conditioner, dict(self.networks.items()))
        self.register_buffer("iteration", torch.tensor(iteration), persistent=False)
        self.iteration: Tensor
        self.requires_grad_(False).eval()

    def network(self, name: str, averaged: bool = False) -> Any:
        """A network by name; it is the averaged copy where the run had one."""
        if name not in self.networks:
            raise PlanError(
                f"the release holds no network {name!r}{near_miss(name, self.networks)}; "
                f"networks: {', '.join(self.networks)}"
            )
        return self.networks[name]

    @property
    def device(self) -> torch.device:
        """Where it is."""
        return self.iteration.device

    def draw(self, n: int, rng: torch.Generator) -> tuple[Tensor, Condition]:
        """Latents (n, latent_dim) and conditions of n images."""
        latents = self.network(self.generator).sample_latents(n, rng)
        condition = self.conditioner.sample(n, rng).to(self.device)
        return latents.to(self.device), self.completed(condition)

    def completed(self, condition: Condition) -> Condition:
        """With what the conditioner's networks compute of it."""
        with torch.no_grad():
            return self.conditioner.complete(condition)


def needed_networks(model: Mapping[str, Any], generator: str) -> list[str]:
    """What a release holds: the generator, what the conditioner uses, and what these use."""
    conditioner = model.get("conditioner") or {}
    wanted = [generator, *(conditioner.get("uses") or {}).values()]
    found = {name for start in wanted for name in borrowed(model["networks"], start)}
    return [name for name in model["networks"] if name in found]


def borrowed(configs: Mapping[str, Any], name: str) -> list[str]:
    """A network and all that it uses, directly or not, in the order of the config."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current not in configs:
            raise CheckpointError(f"the config describes no network {current!r}{near_miss(current, configs)}")
        if current not in found:
            found.add(current)
            waiting += (configs[current].get("uses") or {}).values()
    return [key for key in configs if key in found]


def check_components(value: Any) -> None:
    """Raise CheckpointError unless every ``type`` in a config is the plain name of a component.

    A card comes from outside, and ``type='os.system'`` is a config that builds.
    """
    for kind in types_inside(value):
        if not isinstance(kind, str) or not kind.isidentifier():
            raise CheckpointError(
                f"the config asks for type={short(kind)}: a release may name registered components only"
            )


def is_release(path: str | Path) -> bool:
    """Whether a safetensors file has the card of a release beside it.

    Raises:
        WeightsError: for a card that cannot be read.
    """
    path = Path(path)
    if path.suffix != ".safetensors" or not path.is_file() or not card_path(path).is_file():
        return False
    return read_card(path).get("kind") == KIND


def load_release(path: str | Path) -> ReleasedGame:
    """The game of a release file, strictly loaded, in eval mode.

    Raises:
        WeightsError: for a missing card, or a file that is not the one it describes.
        CheckpointError: when the tensors do not fit the card's config, or a frozen network is not the one of
            then.
    """
    tensors, card = read_with_card(path)
    try:
        model = card["config"]["model"]
        stored = [str(name) for name in card["networks"]]
        _check_declared(model, stored, tensors)
        seed = int(card["config"].get("seed", 0))
        game = ReleasedGame(model, stored, seed, int(card["iteration"]))
        frozen = {str(name): str(digest) for name, digest in dict(card.get("frozen", {})).items()}
    except (WeightsError, BuildError) as error:
        raise CheckpointError(f"release {path}: {error}") from error
    except (CheckpointError, PlanError):
        raise
    except Exception as error:  # a card can hold anything in any place
        raise CheckpointError(f"the card of {path} is not that of a release ({reason(error)})") from error
    check_frozen(game, frozen)
    outside = tuple(f"networks.{name}." for name in game.from_outside)
    own = {key: value for key, value in game.state_dict().items() if outside and key.startswith(outside)}
    load_whole(game, {**own, **tensors}, f"release {path}")
    return game


def _check_declared(model: Mapping[str, Any], stored: list[str], tensors: Mapping[str, Tensor]) -> None:
    """Raise WeightsError for networks that are described larger than their tensors; nothing is built yet."""
    for name, config in model["networks"].items():
        check_numbers(config, name)
    check_numbers(model.get("conditioner"), "conditioner")
    check_components([model["networks"], model.get("conditioner")])
    for name in stored:
        config = {key: value for key, value in model["networks"][name].items() if key not in _OF_THE_GAME}
        if model["networks"][name].get("uses") or not isinstance(config.get("type"), str):
            continue  # built with those that it borrows, and compared then
        start = f"networks.{name}."
        own = {key: value for key, value in tensors.items() if key.startswith(start)}
        try:
            check_declared(config, own)
        except WeightsError as error:
            raise WeightsError(f"network {short(name)}: {error}") from error


def evaluation_of(path: str | Path) -> dict[str, Any]:
    """What a release's card says of its evaluation; where statistics are kept is for the user to say.

    Raises:
        WeightsError: for a missing card.
        CheckpointError: for an evaluation that names anything but registered components.
    """
    config = read_card(path).get("config")
    settings = config.get("evaluation") if isinstance(config, Mapping) else None
    if not isinstance(settings, Mapping):
        raise CheckpointError(f"the card of {path} says nothing of an evaluation: toolbox test CONFIG {path}")
    check_components(settings)
    return {key: value for key, value in settings.items() if key != "cache_dir"}


def write_game(
    game: Game, config: Config, folder: Path, out: str | Path, licence: str = "", replace: bool = False
) -> Path:
    """Write a game's averaged generator and its conditioner as a release (:func:`toolbox.loading.export`)."""
    plain = {key: value for key, value in config.to_dict().items() if key not in _OF_THE_MACHINE}
    model = plain["model"]
    needed = needed_networks(model, game.generator)
    stored = [
        name
        for name in needed
        if name not in game.from_outside or name == game.generator or _of_another_run(model["networks"][name])
    ]
    check_components([*(model["networks"][name] for name in needed), model.get("conditioner")])
    fingerprints = frozen_fingerprints(game)
    card = dict(
        kind=KIND,
        title=plain.get("title") or folder.name,
        iteration=int(game.iteration),
        images_seen=int(game.images_seen),
        networks=stored,
        averaged=[name for name in stored if name in game.average],
        frozen={name: fingerprints[name] for name in sorted(needed) if name not in stored},
        metrics=_metrics(folder, int(game.iteration)),
        licence=licence or "not stated",
        **_noted_by_the_run(folder),
        exported=time.strftime("%Y-%m-%d"),
        config=_for_json(plain, folder),
    )
    metadata = dict(toolbox=toolbox.__version__, title=card["title"])
    game.conditioner.forget_features()
    return write_with_card(out, _tensors(game, stored), card, metadata=metadata, replace=replace)


def _of_another_run(config: Mapping[str, Any]) -> bool:
    """Whether a network's ``weights=dict(checkpoint=...)`` name what was trained here, and not a published
    file.
    """
    weights = config.get("weights")
    return isinstance(weights, Mapping) and "checkpoint" in weights


def _tensors(game: Game, networks: list[str]) -> dict[str, Tensor]:
    """Of some networks, averaged where they can be, and of the conditioner."""
    parts: dict[str, nn.Module] = {f"networks.{name}": game.network(name, averaged=True) for name in networks}
    parts["conditioner"] = game.conditioner
    tensors: dict[str, Tensor] = {}
    for prefix, part in parts.items():
        tensors |= {f"{prefix}.{key}": value for key, value in part.state_dict().items()}
    return tensors


def _metrics(folder: Path, iteration: int) -> list[dict[str, Any]]:
    """What was measured of these weights; of several measurements of one name the last."""
    records = [record for record in read_records(folder / "metrics.jsonl") if "metric" in record]
    found = {}
    for record in records:
        if record.get("iteration", iteration) == iteration and "error" not in record:
            found[record["metric"]] = record
    return list(found.values())


def _noted_by_the_run(folder: Path) -> dict[str, Any]:
    """Data and versions."""
    noted = read_record(folder)
    versions = {key: noted[key] for key in ("python", "versions", "git") if key in noted}
    return dict(
        data=noted.get("data", {}),
        created_with=dict(toolbox=toolbox.__version__, torch=torch.__version__, run=versions),
    )


def _for_json(config: Mapping[str, Any], folder: Path) -> Any:
    try:
        return json.loads(json.dumps(config))
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"the config of {folder} cannot be written into a card ({error}): name classes by their "
            "registered names"
        ) from error
