"""Statistics of real images on disk: our cache, and plain ``mu`` / ``sigma`` files of others."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toolbox.interfaces import FeatureExtractor
from toolbox.metrics.statistics import KINDS, Statistics

VERSION = 2
QUANTISER = "uint8, round half up, clamped"


@dataclass(frozen=True)
class Gaussian:
    """Mean (D,) and covariance (D, D), float64."""

    mean: np.ndarray
    covariance: np.ndarray


def reference_description(data_fingerprint: str, extractor: FeatureExtractor) -> dict[str, Any]:
    """Everything that the statistics of real images depend on. World size and batch size are not among it."""
    return {
        "version": VERSION,
        "data": data_fingerprint,
        "extractor": extractor.fingerprint(),
        "extractor_name": extractor.name,
        "n_features": extractor.n_features,
        "quantiser": QUANTISER,
    }


class ReferenceCache:
    """One ``.npz`` for each (data, extractor with its preprocessing), in one folder.

    Files are written whole or not at all, and read without unpickling.

    Args:
        folder: made when the first file is written.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)

    def path(self, description: Mapping[str, Any]) -> Path:
        """Where statistics of this description lie, or would lie."""
        return self.folder / f"{_digest(description)[:32]}.npz"

    def load(self, description: Mapping[str, Any], kinds: Iterable[str]) -> dict[str, Statistics]:
        """{kind: statistics} of those ``kinds`` ('moments', 'class_moments', 'features') that are stored.

        Raises:
            ValueError: for a torn file, or one whose content is of other data or another extractor than its
                name says.
        """
        path = self.path(description)
        if not path.exists():
            return {}
        arrays = _read(path)
        stored = json.loads(str(arrays.get("description", "{}")))
        wrong = [key for key in description if stored.get(key) != description[key]]
        if wrong:
            raise ValueError(
                f"{path} holds statistics of another {', '.join(wrong)} ({stored.get(wrong[0])!r} in "
                f"place of {description[wrong[0]]!r}): delete the file, it is computed again"
            )
        try:
            return {
                kind: _statistics(kind, description["n_features"], arrays)
                for kind in kinds
                if any(key.startswith(f"{kind}.") for key in arrays)
            }
        except (KeyError, ValueError) as error:
            raise ValueError(f"{path}: {error}; delete the file, it is computed again") from error

    def save(self, description: Mapping[str, Any], statistics: Mapping[str, Statistics]) -> Path:
        """Write statistics beside those of other kinds that are stored already; the file."""
        path = self.path(description)
        missing = [kind for kind in KINDS if kind not in statistics]
        everything = {**self.load(description, missing), **statistics}
        arrays = {
            f"{kind}.{key}": value.numpy()
            for kind, part in everything.items()
            for key, value in part.state().items()
        }
        _write(path, {"description": np.array(json.dumps(dict(description), sort_keys=True)), **arrays})
        return path


def read_gaussian(path: str | Path, protocol: str | None, extractor: FeatureExtractor) -> Gaussian:
    """Mean and covariance from a ``.npz`` with ``mu`` and ``sigma`` (pytorch-fid, TTUR, GALIP).

    Args:
        path: the file.
        protocol: name of the extractor for which it was made; the file does not say, so the user must.
        extractor: the one in use.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when the protocol is missing or another, the file is no such file, or arrays do not fit.
    """
    path = Path(path)
    if protocol != extractor.name:
        raise ValueError(
            f"reference_protocol={protocol!r}: the metric uses the extractor {extractor.name!r}, and "
            f"{path} must have been made by it; if it was, say reference_protocol={extractor.name!r}"
        )
    if not path.exists():
        raise FileNotFoundError(f"reference={str(path)!r}: no such file")
    if path.suffix != ".npz":
        raise ValueError(
            f"reference={str(path)!r}: only .npz files are read (a pickle would run code); save its "
            f"arrays with numpy.savez(path, mu=mean, sigma=covariance)"
        )
    arrays = _read(path)
    if not {"mu", "sigma"} <= set(arrays):
        raise ValueError(f"{path} holds {sorted(arrays)}: expected 'mu' and 'sigma'")
    return _checked_gaussian(path, arrays["mu"], arrays["sigma"], extractor.n_features)


def _checked_gaussian(path: Path, mu: np.ndarray, sigma: np.ndarray, d: int) -> Gaussian:
    if mu.shape != (d,) or sigma.shape != (d, d):
        raise ValueError(f"{path}: mu {mu.shape} and sigma {sigma.shape}, expected {(d,)} and {(d, d)}")
    mean, covariance = mu.astype(np.float64), sigma.astype(np.float64)
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise ValueError(f"{path}: mu or sigma holds values that are not finite")
    if not np.allclose(covariance, covariance.T, rtol=1e-5, atol=1e-8 * np.abs(covariance).max()):
        raise ValueError(f"{path}: sigma is not symmetric")
    return Gaussian(mean, covariance)


def _statistics(kind: str, n_features: int, arrays: Mapping[str, np.ndarray]) -> Statistics:
    statistics = KINDS[kind](n_features)
    prefix = f"{kind}."
    statistics.merge(
        {
            key.removeprefix(prefix): torch.from_numpy(value)
            for key, value in arrays.items()
            if key.startswith(prefix)
        }
    )
    return statistics


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except Exception as error:  # numpy and zipfile raise many kinds for a torn file
        raise ValueError(
            f"{path} cannot be read as a .npz file without pickles ({error}): delete it, or replace it "
            f"by a whole one"
        ) from error


def _write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _digest(description: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(dict(description), sort_keys=True).encode()).hexdigest()
