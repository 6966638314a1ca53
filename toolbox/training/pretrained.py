"""``weights=``: what a network starts from, wherever it is said and whatever holds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor, nn

from toolbox.catalog import near_miss
from toolbox.config import ConfigError, kept_file, load_config
from toolbox.interfaces import Discriminator, Generator
from toolbox.models.declared import check_numbers
from toolbox.models.from_files import checked_config, open_weights, read_network, translated
from toolbox.plugins import host
from toolbox.registry import Config
from toolbox.runs.environment import is_of_run
from toolbox.runs.terminal import say
from toolbox.training.checkpoints import CheckpointError, latest_checkpoint, load_whole, network_state
from toolbox.weights.errors import WeightsError, misfits, nested_below
from toolbox.weights.sources import is_elsewhere, local_path

#: What an entry of ``model.networks`` says beside its component's own arguments.
OF_THE_GAME = ("uses", "weights", "frozen", "freeze_layers")


@runtime_checkable
class ReadsPublished(Protocol):
    """A network that reads the files of its authors itself."""

    def from_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The file's tensors by the network's own names.

        Raises:
            ValueError: for a file that does not go with what the network borrows.
        """
        ...


def load_network_weights(network: nn.Module, source: Any, name: str) -> None:
    """Fill a network from its config's ``weights``: all of it, or nothing.

    Args:
        network: what is filled.
        source: see :func:`toolbox.weights.sources.local_path`; a run's folder (its newest checkpoint), a
            checkpoint, a release, or a file of published weights in any known layout. Or
            dict(checkpoint=path, network=name).
        name: of the network in the config, and in a run or release if ``source`` does not say another; a
            generator that is not found by its name is the only one of the file.

    Raises:
        CheckpointError: when the file does not hold this network whole.
    """
    path, part = _located(source)
    what = f"weights of network {name!r} ({path})"
    try:
        state = _state_for(network, path, part, name)
    except WeightsError as error:
        _say_where_it_lies(network, path, what, error)
        raise CheckpointError(f"{what}: {error}") from error
    except ValueError as error:  # of a network that reads it itself
        raise CheckpointError(f"{what}: {error}") from error
    try:
        load_whole(network, state, what)
    except CheckpointError as error:
        _say_where_it_lies(network, path, what, error)
        hint = "; without type=, weights= brings the file's architecture too" if _role_of(network) else ""
        raise CheckpointError(f"{error}{hint}") from error


def _say_where_it_lies(network: nn.Module, path: Path, what: str, error: Exception) -> None:
    """Another error, where the network is in the file, but in a dict inside of it."""
    weights = open_weights(path)[0]
    places = nested_below(weights.tensors, network.state_dict())
    if places and not _of_a_game(weights.state_dict()):  # of a game it was found, and does not fit
        raise CheckpointError(
            f"{what}: the network lies below {places[0]!r} in it: weights=dict(checkpoint={str(path)!r}, "
            f"network={places[0]!r})"
        ) from error


def described(source: Any, name: str = "generator", role: str = "") -> dict[str, Any]:
    """The config of the network that a source holds: ``dict(type=..., ...)``, without its weights.

    Args:
        source: as of :func:`load_network_weights`.
        name: of the network in a run or release; where none is called so, and one generator is held, that.
        role: 'generator' or 'discriminator', of a file of published weights; '' = by the name.

    Raises:
        CheckpointError, WeightsError: for a source that does not say what its network is, or holds none.
    """
    path, part = _located(source)
    model = _model_of(path)
    if model is None:
        role = role or ("discriminator" if name.endswith("discriminator") else "generator")
        return read_network(path, role, part)[0]
    networks = {key: own for key, own in model["networks"].items() if own is not None}
    main = str(model.get("generator", "generator"))
    inner = part or (main if role == "generator" else name)
    if part is None and inner != main and not (role or name).endswith("discriminator"):
        inner = _meant(open_weights(path)[0].state_dict(), inner, model)
    if inner not in networks:
        raise CheckpointError(
            f"{path} holds no network {inner!r}{near_miss(inner, networks)}; it holds {', '.join(networks)}"
        )
    config = {key: value for key, value in networks[inner].items() if key not in OF_THE_GAME}
    if path.suffix == ".pth":
        return config
    check_numbers(config, inner)
    return checked_config(config, path)


def _held(state: Mapping[str, Any]) -> set[str]:
    """Networks of a game whose tensors there are: not the frozen ones, which came from files."""
    return {key.split(".")[1] for key in state if key.startswith("networks.")}


def _meant(state: Mapping[str, Any], name: str, model: Config) -> str:
    """The network of a run or release that ``name`` is filled from: of its name, or the only generator."""
    held = _held(state)
    main = str(model.get("generator", "generator"))
    generators = [key for key in held if _is_generator(model["networks"].get(key))]
    takes_main = name not in held and generators == [main] and not near_miss(name, held)
    return main if takes_main else name


def _is_generator(config: Any) -> bool:
    kind, catalog = str((config or {}).get("type")), host().catalog
    return kind in catalog and catalog.find(kind).kind == "generator"


def fill_in_types(networks: Mapping[str, Any]) -> dict[str, Any]:
    """Networks by name, those that say ``weights=`` and no ``type`` with the architecture of their file.

    What an entry says beside goes before what the file says.

    Raises:
        CheckpointError, WeightsError: see :func:`described`.
        ConfigError: the same of an entry whose name is nearly another's, and may be a slip.
    """
    filled = {}
    for name, config in networks.items():
        try:
            filled[name] = _with_type(name, config)
        except (CheckpointError, WeightsError) as error:
            hint = near_miss(name, set(networks) - {name})
            if not hint:
                raise
            raise ConfigError(f"model.networks.{name}: {error}{hint}") from error
    return filled


def local_weights(source: Any) -> Any:
    """A ``weights`` argument for a component that reads it itself: the path of what is elsewhere."""
    return str(local_path(source, say)) if is_elsewhere(source) else source


def _with_type(name: str, config: Any) -> Any:
    if not isinstance(config, Mapping) or "type" in config or not _names_a_file(config.get("weights")):
        return config
    found = described(config["weights"], name)
    borrowed = config.get("uses") or {}  # in place of what the file says of them
    return {key: value for key, value in found.items() if key not in borrowed} | dict(config)


def _names_a_file(source: Any) -> bool:
    if isinstance(source, Mapping):
        return "url" in source or source.get("checkpoint") is not None
    return isinstance(source, (str, Path))


def _located(source: Any) -> tuple[Path, str | None]:
    """(file, name of the network in it or None) of a source; of a run's folder its newest checkpoint."""
    part = None
    if isinstance(source, Mapping):
        part = source.get("network")
        source = source.get("checkpoint") or {k: v for k, v in source.items() if k != "network"}
    path = local_path(source, say)
    if path.is_dir():
        path = latest_checkpoint(path, say) or path
    return path, part


def _state_for(network: nn.Module, path: Path, part: str | None, name: str) -> dict[str, Tensor]:
    """The tensors that are meant for a network: a game's, its own, or published ones by our names."""
    weights, _ = open_weights(path)
    state = weights.state_dict()
    if _of_a_game(state):
        if part is None and isinstance(network, Generator) and name not in _held(state):
            part = _meant(state, name, _model_of(path) or {"networks": {}})
        return network_state(state, part or name)
    own = network.state_dict()
    if isinstance(network, ReadsPublished):
        published = network.from_published(weights.part(part) if part else state)
        if not misfits(published, own):
            return published
    role = _role_of(network)
    if part is None and not misfits(state, own):
        return state
    if not role:
        return _by_our_names(weights.part(part) if part else state, own)
    try:
        return read_network(path, role, part)[1]
    except WeightsError:
        if part is None and set(state) & set(own):
            return state  # the caller lists what does not fit
        raise


def _by_our_names(state: dict[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Published tensors of an encoder, translated where they are in a known layout."""
    if not misfits(state, own):
        return state
    try:
        return translated(state, "auto")[0]
    except WeightsError:
        return state  # the caller lists what does not fit


def _role_of(network: nn.Module) -> str:
    if isinstance(network, Generator):
        return "generator"
    return "discriminator" if isinstance(network, Discriminator) else ""


def _of_a_game(state: Mapping[str, Any]) -> bool:
    return any(key.startswith("networks.") for key in state)


def _model_of(path: Path) -> Config | None:
    """``model`` of the config of a checkpoint or release; None for any other file."""
    if is_of_run(path):  # no other file makes a config beside it run
        beside = kept_file(path.parent)
        if beside is None or beside.suffix == ".py":  # of an older version: it would be executed
            raise CheckpointError(f"{path} has no config.json beside it that says what its networks are")
        return dict(load_config(beside).model)
    _, card = open_weights(path) if path.suffix == ".safetensors" else (None, {})
    if card.get("kind") != "release":
        return None
    try:
        model, stored = card["config"]["model"], card["networks"]
        return {**model, "networks": {name: model["networks"][name] for name in stored}}
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"the card of {path} is not that of a release ({error})") from error
