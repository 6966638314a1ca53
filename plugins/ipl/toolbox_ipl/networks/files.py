"""Weights from the user's files: which file is missing and where it comes from, what of it does not fit."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from toolbox.weights.card import file_sha256
from toolbox.weights.errors import WeightsError, misfits
from toolbox.weights.reading import read_weights


def tensors_of(
    path: str | Path | None, argument: str, owner: str, origin: str, sha256: str | None = None
) -> dict[str, Tensor]:
    """Tensors of a file, by name; no code in it runs.

    Args:
        path: the file.
        argument: what the file is called in the constructor, for errors.
        owner: whose it is, for errors.
        origin: which file it should be, and from where, for errors.
        sha256: what its digest must begin with; None: any.

    Raises:
        FileNotFoundError: when it is not given or not there.
        ValueError: for another digest, or a file that cannot be read.
    """
    if path is None or not Path(path).is_file():
        given = f"{argument} is not given" if path is None else f"{argument}={str(path)!r}: no such file"
        raise FileNotFoundError(f"{owner}: {given}; it takes {origin}")
    if sha256 is not None and not (found := file_sha256(path)).startswith(sha256.lower()):
        raise ValueError(
            f"{owner}: {argument}={str(path)!r} has sha256 {found[:16]}..., expected {sha256}...; it takes "
            f"{origin}; sha256=None accepts a conversion that you trust"
        )
    try:
        return read_weights(path).state_dict()
    except WeightsError as error:
        raise ValueError(f"{owner}: {argument}: {error}; it takes {origin}") from error


def load_strictly(
    network: nn.Module, tensors: Mapping[str, Tensor], argument: str, owner: str, origin: str
) -> None:
    """Every tensor of the network from ``tensors``, and no other; batch counters may be absent.

    Raises:
        ValueError: naming what is missing, unknown or of another shape.
    """
    own = network.state_dict()
    counters = {key: value for key, value in own.items() if key.endswith("num_batches_tracked")}
    state = {**counters, **tensors}
    problems = misfits(state, own)
    if problems:
        raise ValueError(f"{owner}: {argument} does not fit: {problems}; it takes {origin}")
    network.load_state_dict(state)


def digest_of(network: nn.Module, preprocessing: str) -> str:
    """sha256 of the class, the preprocessing and the weights, batch counters aside."""
    digest = hashlib.sha256(f"{type(network).__name__} {preprocessing}".encode())
    for key, value in sorted(network.state_dict().items()):
        if not key.endswith("num_batches_tracked"):
            digest.update(key.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
