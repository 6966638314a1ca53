"""Statistics of real images, cached on disk."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from toolbox.interfaces import FeatureExtractor
from toolbox.metrics.base import FeatureBank, Statistics, below
from toolbox.metrics.fid import Moments, read_npz
from toolbox.metrics.intra_fid import ClassMoments

VERSION = 2
QUANTISER = "uint8, round half up, clamped"
KINDS: dict[str, type[Statistics]] = {cls.kind: cls for cls in (Moments, ClassMoments, FeatureBank)}


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
        digest = hashlib.sha256(_json(description).encode()).hexdigest()
        return self.folder / f"{digest[:32]}.npz"

    def load(self, description: Mapping[str, Any], kinds: Iterable[str]) -> dict[str, Statistics]:
        """{kind: statistics} of those ``kinds`` ('moments', 'class_moments', 'features') that are stored.

        Raises:
            ValueError: for a torn file, or one whose content is of other data or another extractor than its
                name says.
        """
        path = self.path(description)
        if not path.exists():
            return {}
        arrays = read_npz(path)
        stored = json.loads(str(arrays.get("description", "{}")))
        wrong = [key for key in description if stored.get(key) != description[key]]
        if wrong:
            raise ValueError(
                f"{path} holds statistics of another {', '.join(wrong)} ({stored.get(wrong[0])!r} in "
                f"place of {description[wrong[0]]!r}): delete the file, it is computed again"
            )
        found = {}
        try:
            for kind in kinds:
                state = {key: torch.from_numpy(value) for key, value in below(f"{kind}.", arrays).items()}
                if state:
                    found[kind] = KINDS[kind](description["n_features"])
                    found[kind].merge(state)
        except (KeyError, ValueError) as error:
            raise ValueError(f"{path}: {error}; delete the file, it is computed again") from error
        return found

    def save(self, description: Mapping[str, Any], statistics: Mapping[str, Statistics]) -> Path:
        """Write statistics beside those of other kinds that are stored already; the file."""
        path = self.path(description)
        others = self.load(description, [kind for kind in KINDS if kind not in statistics])
        arrays = {"description": np.array(_json(description))}
        for kind, part in {**others, **statistics}.items():
            arrays |= {f"{kind}.{key}": value.numpy() for key, value in part.state().items()}
        _write(path, arrays)
        return path


class RealStatistics:
    """Statistics of one real set for several extractors, with or without a cache behind them.

    Args:
        data_fingerprint: of the real set.
        extractors: by key.
        cache_dir: folder of the cache; None: there is none.

    Attributes:
        known: {extractor's key: {kind: statistics}}.
    """

    def __init__(
        self,
        data_fingerprint: str,
        extractors: Mapping[str, FeatureExtractor],
        cache_dir: str | Path | None,
    ) -> None:
        self.cache = None if cache_dir is None else ReferenceCache(cache_dir)
        self.descriptions = {k: reference_description(data_fingerprint, e) for k, e in extractors.items()}
        self.known: dict[str, dict[str, Statistics]] = {key: {} for key in extractors}

    def load(self, wanted: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Take what the cache has of the wanted kinds; the kinds that are known, by extractor."""
        if self.cache is not None:
            for key, kinds in wanted.items():
                self.known[key] = self.cache.load(self.descriptions[key], kinds)
        return {key: sorted(found) for key, found in self.known.items()}

    def save(self, fresh: Mapping[str, dict[str, Statistics]]) -> None:
        """Take what was computed, and keep it in the cache."""
        for key, part in fresh.items():
            self.known[key] |= part
            if self.cache is not None and part:
                self.cache.save(self.descriptions[key], part)


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


def _json(description: Mapping[str, Any]) -> str:
    return json.dumps(dict(description), sort_keys=True)
