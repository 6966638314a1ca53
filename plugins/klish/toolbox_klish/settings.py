"""The config of a clustering run: what it may say, checked before any time is spent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolbox.catalog import near_miss
from toolbox.config import ConfigError, load_config
from toolbox.registry import BuildError, accepted, check

COMMAND = "klish fit"

#: Top-level keys.
KEYS: dict[str, str] = {
    "title": "one line that says what the config is for",
    "command": "always 'klish fit'",
    "generator": "dict(type=...), dict(weights=FILE) in any known layout, or dict(run=FOLDER)",
    "features": "what is clustered: see FEATURES",
    "clusterers": "{name: component}; one that names 'clusters' is fitted once and cut, any other is fitted for each number",
    "shown": "numbers of clusters in pictures and tables",
    "final": "the number of clusters that is used",
    "seeds": "one fit of everything for each; the first is the one that is shown",
    "truth": "segmenter to compare with, or None",
    "pictures": "arguments of the pictures",
    "warn_iou": "clusters of the final classifier below this IoU are warned of",
    "device": "cpu, cuda, ...; None = a GPU if there is one",
    "quick": "overrides of --quick",
    "plugins": "plugin files to load",
    "work_dir": "where the run is kept; default runs/<config>",
    "default_scope": "mmengine's",
}

#: Keys of ``features``, with their defaults (KLiSH, section 3.1; seed None = that of the fit).
FEATURES: dict[str, Any] = dict(images=256, layers=None, size=256, truncation=0.5, noise="random", pixels=None, dtype="float32",
                                seed=None, label=None, batch_size=1)
DTYPES = ("float32", "float16")
SOURCES = ("type", "weights", "run")


def read_config(name: str | Path, quick: bool = False, options: Mapping[str, Any] | None = None,
                plugins: Sequence[str | Path] = ()) -> Any:
    """A resolved, checked config of a clustering run, its defaults filled in; arguments as :func:`toolbox.load_config`.

    Raises:
        ConfigError: for what is wrong, naming the key, what is allowed and the near miss.
    """
    config = load_config(name, quick, options, plugins, command=COMMAND, keys=KEYS)
    for key in ("generator", "clusterers", "final"):
        if config.get(key) is None:
            raise ConfigError(f"config {str(name)!r} has no {key}: {KEYS[key]}")
    config.features = {**FEATURES, **_checked_features(config.get("features") or {})}
    defaults: dict[str, Any] = dict(shown=[config.final], seeds=[0], truth=None, pictures={}, warn_iou=0.8, device=None)
    for key, default in defaults.items():
        config.setdefault(key, default)
    _check_generator(config.generator)
    _check_numbers(config)
    _check_clusterers(config)
    return config


def numbers_of(config: Any) -> list[int]:
    """Every number of clusters that the run answers for, the largest first."""
    return sorted({*config.shown, config.final}, reverse=True)


def is_cut(component: Mapping[str, Any]) -> bool:
    """Whether a clusterer is fitted once for all numbers of clusters."""
    return "clusters" in component


def _checked_features(features: Mapping[str, Any]) -> dict[str, Any]:
    for key in features:
        if key not in FEATURES:
            raise ConfigError(f"features: unknown key {key!r}{near_miss(key, FEATURES)}; known: {', '.join(FEATURES)}")
    dtype = features.get("dtype", "float32")
    if dtype not in DTYPES:
        raise ConfigError(f"features.dtype={dtype!r} is not one of {list(DTYPES)}{near_miss(str(dtype), DTYPES)}")
    return dict(features)


def _check_generator(generator: Any) -> None:
    named = [key for key in SOURCES if key in generator] if isinstance(generator, Mapping) else []
    if len(named) != 1:
        raise ConfigError(f"generator={generator!r} must have one of {', '.join(SOURCES)}: {KEYS['generator']}")
    unknown = [key for key in generator if key not in SOURCES]
    if named != ["type"] and unknown:
        raise ConfigError(f"generator: {unknown[0]!r} goes with type=, not with {named[0]}={near_miss(unknown[0], SOURCES)}")
    if named == ["type"]:
        _looked_up(generator, "generator", "generator")


def _check_numbers(config: Any) -> None:
    for key, values in dict(final=[config.final], shown=config.shown, seeds=config.seeds).items():
        least = 0 if key == "seeds" else 1
        if not values or not all(isinstance(value, int) and value >= least for value in values):
            raise ConfigError(f"{key}={config[key]!r} must be whole numbers of at least {least}, one or more")
    if len(set(config.seeds)) < len(config.seeds):
        raise ConfigError(f"seeds={list(config.seeds)} name one twice")


def _check_clusterers(config: Any) -> None:
    for name, component in list(config.clusterers.items()):
        if component is None:
            config.clusterers.pop(name)
            continue
        where = f"clusterers.{name}"
        if not re.fullmatch(r"\w+", name):
            raise ConfigError(f"{where}: a name may have letters, digits and underscores; files are called by it")
        found = _looked_up(component, "clusterer", where)
        if "seed" in component:
            raise ConfigError(f"{where}: seed={component['seed']} may not be set here: each of the config's seeds is tried")
        if not is_cut(component) and "clusters" not in (accepted(found) or {}):
            raise ConfigError(f"{where}: {component['type']} has no argument 'clusters': it cannot be asked for {config.final}")
        first, most = component.get("first") or component.get("clusters"), max(numbers_of(config))
        if is_cut(component) and first < most:
            raise ConfigError(f"{where}: it starts from {first} clusters, shown and final ask for {most}: start from more, or show "
                              "fewer")
    if not config.clusterers:
        raise ConfigError("clusterers is empty: name at least one, such as klish=dict(type='KLiSH', clusters=100)")


def _looked_up(component: Any, kind: str, where: str) -> Any:
    if not isinstance(component, Mapping):
        raise ConfigError(f"{where}={component!r} must be dict(type=...)")
    try:
        return check(component, kind, where)
    except BuildError as error:
        raise ConfigError(str(error)) from error
