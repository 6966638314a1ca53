"""The folder of a clustering run, and what can be asked of it.

config.json, config.py             the resolved config: as data, and for reading
record.json                        generator, layers, sizes, seconds, warnings, versions
models/<clusterer>-<seed>.npz      state of a clusterer that is cut
models/<clusterer>-<seed>-<K>.npz  state of one that is fitted for each K
names.json                         names of clusters, if they were given any
pictures/, tables/, report.html
"""

from __future__ import annotations

import json
import zipfile
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

import toolbox
from toolbox.catalog import near_miss
from toolbox.config import ConfigError, kept_file
from toolbox.features import FeatureStream, feature_stream
from toolbox.interfaces import Clusterer, Generator
from toolbox.randomness import seeded
from toolbox.registry import accepted, build, check
from toolbox.weights.sources import is_elsewhere
from toolbox_klish.checks import usable_device
from toolbox_klish.progress import Heartbeat
from toolbox_klish.runs.settings import is_cut, numbers_of, read_config

_OF_STREAMS = ("layers", "size", "truncation", "noise", "pixels", "label", "batch_size")


class ClusterRun:
    """A clustering run: its config, its generator, and the clusterers fitted so far.

    Args:
        folder: where it is kept.
        config: resolved, of :func:`toolbox_klish.runs.settings.read_config`.

    Attributes:
        folder, config: as given.
        record: what ``record.json`` says; {} before there is one.
    """

    def __init__(self, folder: str | Path, config: Any) -> None:
        self.folder = Path(folder)
        self.config = config
        self.record: dict[str, Any] = _read_record(self.folder / "record.json")

    @classmethod
    def open(cls, folder: str | Path, device: str | None = None) -> ClusterRun:
        """A run that ``toolbox klish fit`` has written.

        Args:
            folder: the run's.
            device: where its generator goes; None = as its config says.

        Raises:
            ConfigError: for a folder that holds none.
        """
        folder = Path(folder)
        kept = kept_file(folder)
        if kept is None:
            siblings = [str(path.parent) for path in folder.parent.glob("*/config.py")]
            raise ConfigError(
                f"{folder} holds no clustering run (no config.json){near_miss(str(folder), siblings)}; "
                "`toolbox klish fit CONFIG` makes one"
            )
        config = read_config(kept)
        config.device = device or config.device
        return cls(folder, config)

    @property
    def device(self) -> str:
        """Where the generator is.

        Raises:
            ValueError: for one that is not there.
        """
        return usable_device(self.config.device)

    @cached_property
    def generator(self) -> Generator:
        """The generator, in eval mode; read on first use."""
        with Heartbeat("the generator is read"):
            return build_generator(self.config.generator).to(self.device).eval()

    @property
    def seeds(self) -> list[int]:
        """Seeds of the fits; the first is the one that is shown."""
        return list(self.config.seeds)

    @property
    def clusterers(self) -> list[str]:
        """Names of the clusterers, in the order of the config."""
        order = self.record.get("clusterers", [])  # a config that was written and read again is sorted
        known = [name for name in order if name in self.config.clusterers]
        return known + [name for name in self.config.clusterers if name not in order]

    @property
    def default(self) -> str:
        """The clusterer that is meant where none is named: 'klish', or the first."""
        return "klish" if "klish" in self.config.clusterers else self.clusterers[0]

    @property
    def numbers(self) -> list[int]:
        """Numbers of clusters that the run answers for, the largest first."""
        return numbers_of(self.config)

    def stream(self, images: int | None = None, seed: int | None = None, **overrides: Any) -> FeatureStream:
        """Features with the run's layers, size and truncation.

        Args:
            images: how many; None = as many as were fitted.
            seed: of the images; None = those that the first seed was fitted on.
            **overrides: other arguments of :func:`toolbox.feature_stream`.
        """
        features = self.config.features
        arguments = {key: features[key] for key in _OF_STREAMS}
        arguments["keep"] = 0  # whoever fits keeps them as one array
        arguments |= overrides
        seed = self.feature_seed(self.seeds[0]) if seed is None else seed
        return feature_stream(self.generator, images or features.images, seed=seed, **arguments)

    def feature_seed(self, seed: int) -> int:
        """The seed of the images that a fit of ``seed`` clusters."""
        fixed = self.config.features.seed
        return seed if fixed is None else int(fixed)

    def build(self, name: str, seed: int, k: int | None = None) -> Clusterer:
        """A clusterer of the config, not fitted; ``k``: clusters of one that is fitted for each number."""
        component = dict(self.config.clusterers[self._known(name)])
        known = accepted(check(component, "clusterer")) or {}
        for key, value in dict(seed=seed, device=self.device).items():
            if key in known:
                component.setdefault(key, value)
        if not is_cut(component):
            component["clusters"] = k or self.config.final
        return build(component, "clusterer", f"clusterers.{name}")

    def model_path(self, name: str, seed: int, k: int | None = None) -> Path:
        """The file of a fitted clusterer."""
        end = "" if is_cut(self.config.clusterers[self._known(name)]) else f"-{k or self.config.final}"
        return self.folder / "models" / f"{name}-{seed}{end}.npz"

    def model(self, name: str | None = None, seed: int | None = None, k: int | None = None) -> Clusterer:
        """A fitted clusterer.

        Args:
            name: None = 'klish', or the first.
            seed: None = the first.
            k: number of clusters, for one that is fitted for each; None = the config's ``final``.

        Raises:
            ConfigError: when there is none of that name, seed or number, or it is not fitted yet.
        """
        name = self._known(name or self.default)
        seed = self.seeds[0] if seed is None else seed
        path = self.model_path(name, seed, k)
        if not path.is_file():
            have = sorted(file.stem for file in path.parent.glob(f"{name}-*.npz"))
            raise ConfigError(
                f"{self.folder} holds no {path.stem!r} (clusterer, seed, number of clusters); of {name} it "
                f"holds {', '.join(have) or 'none yet'}. `toolbox klish fit CONFIG --resume` fits what is "
                "missing of the config's seeds, shown and final"
            )
        try:
            with np.load(path, allow_pickle=False) as state:
                return self.build(name, seed, k).load_state(dict(state))
        except (zipfile.BadZipFile, EOFError, KeyError, ValueError) as error:
            raise ConfigError(
                f"{path} is torn, or not of this clusterer ({error}): remove it, and `toolbox klish fit "
                "CONFIG --resume` fits it again"
            ) from error

    def classifier(self, k: int | None = None, name: str | None = None, seed: int | None = None) -> Any:
        """What tells ``k`` clusters apart: ``n_clusters``, ``predict(X)``, ``scores(X)``.

        Linear ones also have ``weight`` (K, D) and ``bias`` (K). Arguments as :meth:`model`.
        """
        k = self.config.final if k is None else k
        found = self.model(name, seed, k)
        return found.cut(k) if hasattr(found, "cut") else found

    @property
    def names(self) -> Any:
        """Names (:class:`toolbox_klish.runs.naming.Names`) of the final classifier's clusters, or None."""
        from toolbox_klish.runs.naming import Names

        file = self.folder / "names.json"
        return Names.read(file) if file.is_file() else None

    @property
    def named(self) -> Any:
        """The final classifier under its names, as :class:`toolbox_klish.runs.naming.NamedClassifier`."""
        from toolbox_klish.runs.naming import NamedClassifier, Names

        classifier = self.classifier()
        return NamedClassifier(classifier, self.names or Names(classifier.n_clusters))

    def _known(self, name: str) -> str:
        if name not in self.config.clusterers:
            raise ConfigError(
                f"the run has no clusterer {name!r}{near_miss(name, self.config.clusterers)}; it has "
                f"{', '.join(self.clusterers)}"
            )
        return name


def _read_record(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(
            f"{path} cannot be read: {error}. Bring it back, or remove it: it only records what was done"
        ) from error
    if not isinstance(record, dict):
        raise ConfigError(
            f"{path} must hold an object, not {str(record)[:40]!r}. Bring it back, or remove it"
        )
    return record


def build_generator(source: Any) -> Generator:
    """The generator of a config's ``generator``: built, or read from a file or a run."""
    if "type" in source:
        with seeded(0, "generator"):  # of one without weights
            return build(dict(source), "generator", "generator")
    key = "weights" if "weights" in source else "run"
    if not is_elsewhere(source[key]) and not Path(source[key]).exists():
        raise ConfigError(
            f"generator: {key}={source[key]!r} is not there: put it there, name another with --cfg-options "
            f"generator.{key}=..., or see how a run goes with --quick"
        )
    return toolbox.load_generator(source[key])
