"""What a person may choose on the command line beside a config; each has its place in the config."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from toolbox.catalog import near_miss
from toolbox.config import ConfigError


@dataclass(frozen=True)
class Choices:
    """Settings that overrule a config's; None = as the config says.

    Args:
        images, size, truncation, layers, label: of its ``features``.
        clusters: K0 of every clusterer that merges many clusters to few (KLiSH, KASP).
        clusterers: names of those to keep.
        shown, final, seeds, device: as in the config.
    """

    images: int | None = None
    size: int | None = None
    truncation: float | None = None
    layers: Sequence[str | int] | None = None
    label: int | None = None
    clusters: int | None = None
    clusterers: Sequence[str] | None = None
    shown: Sequence[int] | None = None
    final: int | None = None
    seeds: Sequence[int] | None = None
    device: str | None = None

    def apply(self, config: Any) -> None:
        """Write them into a config.

        Raises:
            ConfigError: for a clusterer that the config does not have.
        """
        features = dict(config.get("features") or {})
        for key in ("images", "size", "truncation", "layers", "label"):
            if getattr(self, key) is not None:
                features[key] = getattr(self, key)
        config.features = features
        for key in ("shown", "final", "seeds", "device"):
            if getattr(self, key) is not None:
                config[key] = getattr(self, key)
        config.clusterers = self._clusterers(config.get("clusterers") or {})

    def _clusterers(self, known: Any) -> dict[str, Any]:
        wanted = list(known) if self.clusterers is None else list(self.clusterers)
        for name in wanted:
            if name not in known:
                raise ConfigError(
                    f"--clusterers: the config has no {name!r}{near_miss(name, known)}; it has "
                    f"{', '.join(known)}"
                )
        return {name: self._started(known[name]) for name in known if name in wanted}

    def _started(self, component: Any) -> Any:
        """A clusterer that starts from as many clusters as chosen, if it starts from many."""
        keys = ("first", "centres", "clusters")
        first = next((key for key in keys if key in (component or ())), None)
        if self.clusters is None or first is None:
            return component
        return {**component, first: self.clusters}


def layers_of(words: Sequence[str] | None) -> list[str | int] | None:
    """Layers as they are typed: numbers of table II, or names."""
    if words is None:
        return None
    return [int(word) if word.isdigit() else word for word in words]
