"""Networks of files of published weights, in any layout of :mod:`toolbox.models.stylegan_layouts`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from toolbox.interfaces import Generator
from toolbox.models import stylegan_layouts as layouts
from toolbox.models.declared import build_like, check_declared
from toolbox.models.stylegan2_nvidia import arguments_of
from toolbox.plugins import host
from toolbox.weights.card import SUFFIX, card_path, read_with_card
from toolbox.weights.errors import WeightsError, short
from toolbox.weights.reading import Weights, read_weights

#: Names of the averaged generator, then of any, as NVIDIA, rosinality and genforce write them into files with
#: several networks.
NAMES = (
    "G_ema",
    "g_ema",
    "generator_smooth",
    "models.generator_smooth",
    "Gs",
    "G",
    "g",
    "generator",
    "models.generator",
    "model.netG",
    "netG",
)


#: The same for discriminators.
JUDGES = ("D", "d", "discriminator", "models.discriminator")


def read_generator(path: str | Path) -> Generator:
    """The generator of a file, in eval mode; nothing that the file holds is run.

    See :func:`read_network` for what can be read. Of several networks the averaged generator is taken.

    Args:
        path: of the file.

    Raises:
        WeightsError: for a file that cannot be read, is in no known layout, or holds no generator.
    """
    config, tensors = read_network(path)
    network: Generator = _filled(config, tensors, Path(path))
    return network.requires_grad_(False).eval()


def read_network(
    path: str | Path, role: str = "generator", part: str | None = None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """(config, tensors by our names) of a network in a file of published weights; nothing in it is run.

    NVIDIA's pickles (PyTorch); genforce's, KLiSH's and rosinality's files of ``torch.save``; what ``toolbox
    convert`` made of any of them; and any safetensors file whose card names a registered network:
    ``network=dict(type='Name', ...)``.

    Args:
        path: of the file.
        role: 'generator' (of several, the averaged one) or 'discriminator'.
        part: name of the network in a file of several; None = the usual names of the role.

    Raises:
        WeightsError: for a file that cannot be read, is in no known layout, or holds no such network.
    """
    path = Path(path)
    weights, card = open_weights(path)
    if card.get("network") is not None:
        config = checked_config(card["network"], path)
        if role == "generator":
            _check_no_judge(config, path)
        try:
            check_declared(config, weights.tensors)
        except WeightsError as error:
            raise WeightsError(f"{path}: {error}") from error
        return config, weights.tensors
    if any(key.startswith("state_dict.networks.") for key in weights.tensors):
        raise WeightsError(
            f"{path} is the checkpoint of a run without the run's record (environment.json) beside it: name "
            "the run's folder, or give load_generator the config"
        )
    tensors, name = _part_of(weights, role, part)
    mean = weights.tensors.get("latent_avg")
    try:
        state, config = translated(tensors, "auto", mean, _description(weights.properties, name))
    except WeightsError as error:
        raise WeightsError(
            f"{path}: {error}; of another network, give its type beside: dict(type=..., weights=FILE), or a "
            "card that names it (docs/plugins.md)"
        ) from error
    return config, state


def open_weights(path: Path) -> tuple[Weights, dict[str, Any]]:
    """(weights, card) of a file; {} where a safetensors file has no card beside it.

    Raises:
        WeightsError: for a file that cannot be read, or is not the one that its card describes.
    """
    if path.suffix != SUFFIX or not card_path(path).is_file():
        return read_weights(path), {}
    tensors, card = read_with_card(path)
    facts = card.get("facts")
    return Weights(path, "safetensors", tensors, facts if isinstance(facts, dict) else {}), card


def translated(
    tensors: Mapping[str, Tensor],
    layout: str,
    mean: Tensor | None = None,
    description: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors by our names, and the config of the network that takes them.

    Args:
        tensors: of one network.
        layout: their layout, or 'auto'.
        mean: w's mean, which rosinality's files hold beside the network.
        description: what a pickle of NVIDIA says of the network: its class, and the constructor's arguments.

    Raises:
        WeightsError: as :func:`toolbox.models.stylegan_layouts.translate`.
    """
    layout = layouts.recognise(tensors) if layout == "auto" else layout
    if layout == "rosinality-stylegan2" and mean is not None:
        tensors = {**tensors, "latent_avg": mean}
    result = layouts.translate(tensors, layout)
    given: dict[str, Any] = {}
    if layout.startswith("nvidia") and description and description.get("init_kwargs"):
        kwargs = description["init_kwargs"]
        if not isinstance(kwargs, Mapping):
            raise WeightsError(f"its constructor arguments are {short(kwargs)}, not names and values")
        given = arguments_of(str(description.get("class")), kwargs)
    return result, layouts.network_config(tensors, layout, result, given)


def _part_of(weights: Weights, role: str, part: str | None) -> tuple[dict[str, Tensor], str]:
    """Tensors of one network, and the name that they had in the file; '' for a file of one network.

    Raises:
        WeightsError: for a discriminator asked of a file that has other networks alone.
    """
    if part is not None:
        return weights.part(part), part
    names = dict(generator=NAMES, discriminator=JUDGES)
    for name in names[role]:
        if any(key.startswith(f"{name}.") for key in weights.tensors):
            return weights.part(name), name
    others = {name for other, own in names.items() if other != role for name in own}
    if role != "generator" and others & set(weights.networks()):
        raise WeightsError(f"{weights.path} holds no {role}; it holds {', '.join(weights.networks()[:20])}")
    return weights.state_dict(), ""


def _description(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What a file says of one of its networks; of its only one, if the name is ''."""
    own = whole.get(name, {}) if name else whole
    return own if isinstance(own, Mapping) else {}


def checked_config(config: Any, path: Path) -> dict[str, Any]:
    """A network's config out of a card; it comes from outside and may name registered components only.

    Raises:
        WeightsError: for one that names anything else, however deep inside.
    """
    kind = config.get("type") if isinstance(config, Mapping) else None
    if not isinstance(kind, str):
        raise WeightsError(f"{path}: the card's network {short(config)} names no registered generator")
    for name in types_inside(config):
        if not isinstance(name, str) or not name.isidentifier():
            raise WeightsError(
                f"{path}: type={short(name)} of the card's network is no registered generator, nor a "
                "component of one"
            )
    return dict(config)


def types_inside(value: Any) -> Iterator[Any]:
    """Every ``type`` of a config, also of components among arguments."""
    if isinstance(value, Mapping):
        if "type" in value:
            yield value["type"]
        for inner in value.values():
            yield from types_inside(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from types_inside(inner)


def _check_no_judge(config: Mapping[str, Any], path: Path) -> None:
    """Raise WeightsError for a discriminator where a generator is asked for."""
    kind = str(config["type"])
    entry = host().catalog.find(kind) if kind in host().catalog else None
    if entry is not None and entry.kind == "discriminator":
        raise WeightsError(
            f"{path} holds a {kind}, a generator is needed; of a file with several networks, "
            f"name the generator: {NAMES[0]}, ..."
        )


def _filled(config: Mapping[str, Any], tensors: Mapping[str, Tensor], path: Path) -> Any:
    """The generator of a config, strictly loaded."""
    kind = str(config["type"])
    _check_no_judge(config, path)
    network: Generator
    try:
        network, faults = build_like(config, tensors, "generator")
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    if faults:
        raise WeightsError(f"{path} does not fit a {kind}: {faults}")
    network.load_state_dict(dict(tensors))
    return network
