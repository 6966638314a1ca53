"""A generator of a file of published weights, in any layout of :mod:`toolbox.models.stylegan_layouts`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from toolbox.interfaces import Generator
from toolbox.models import stylegan_layouts as layouts
from toolbox.models.declared import build_like
from toolbox.models.stylegan2_nvidia import arguments_of
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
)


def read_generator(path: str | Path) -> Generator:
    """The generator of a file, in eval mode; nothing that the file holds is run.

    NVIDIA's pickles (PyTorch); genforce's, KLiSH's and rosinality's files of ``torch.save``; what ``toolbox
    convert`` made of any of them, with the network that its card names where it was renamed (``--layout``).
    Of several networks the averaged generator is taken.

    Args:
        path: of the file.

    Raises:
        WeightsError: for a file that cannot be read, is in no known layout, or holds no generator.
    """
    path = Path(path)
    if path.suffix == SUFFIX and card_path(path).is_file():
        tensors, card = read_with_card(path)
        if card.get("network"):
            return _filled(card["network"], tensors, path)
        facts = card.get("facts")
        weights = Weights(path, "safetensors", tensors, facts if isinstance(facts, dict) else {})
    else:
        weights = read_weights(path)
    if any(key.startswith("state_dict.networks.") for key in weights.tensors):
        raise WeightsError(
            f"{path} is the checkpoint of a run without the run's record (environment.json) beside it: name "
            "the run's folder, or give load_generator the config"
        )
    tensors, name = _generator_of(weights)
    mean = weights.tensors.get("latent_avg")
    try:
        state, config = translated(tensors, "auto", mean, _description(weights.properties, name))
    except WeightsError as error:
        raise WeightsError(
            f"{path}: {error}; of another network, give its config: toolbox.build(dict(type=...)), then "
            "load_state_dict(toolbox.weights.reading.read_weights(FILE).tensors)"
        ) from error
    return _filled(config, state, path)


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


def _generator_of(weights: Weights) -> tuple[dict[str, Tensor], str]:
    """Tensors of the generator, and the name that they had in the file; '' for a file of one network."""
    for name in NAMES:
        if any(key.startswith(f"{name}.") for key in weights.tensors):
            return weights.part(name), name
    return weights.state_dict(), ""


def _description(whole: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What a file says of one of its networks; of its only one, if the name is ''."""
    own = whole.get(name, {}) if name else whole
    return own if isinstance(own, Mapping) else {}


def _filled(config: Any, tensors: Mapping[str, Tensor], path: Path) -> Generator:
    """The network of a config, strictly loaded.

    The config comes from outside: it may name a registered generator only.
    """
    kind = config.get("type") if isinstance(config, Mapping) else None
    if not isinstance(kind, str) or not kind.isidentifier():
        raise WeightsError(f"{path}: the card's network {short(kind)} names no registered generator")
    if kind.endswith("Discriminator"):
        raise WeightsError(
            f"{path} holds a {kind}, a generator is needed; of a file with several networks, "
            f"name the generator: {NAMES[0]}, ..."
        )
    network: Generator
    try:
        network, faults = build_like(config, tensors, "generator")
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error
    if faults:
        raise WeightsError(f"{path} does not fit a {kind}: {faults}")
    network.load_state_dict(dict(tensors))
    return network.requires_grad_(False).eval()
