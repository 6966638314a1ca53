"""The config of a clustering run: what it may say, checked before any time is spent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from toolbox.catalog import near_miss
from toolbox.checking import check_type, check_types
from toolbox.config import ConfigError, load_config
from toolbox.ranges import check_whole
from toolbox.registry import BuildError, accepted, check
from toolbox.weights.sources import is_elsewhere
from toolbox_klish.runs.choices import Choices

COMMAND = "klish fit"

#: Top-level keys.
KEYS: dict[str, str] = {
    "title": "one line that says what the config is for",
    "command": "always 'klish fit'",
    "generator": "dict(type=...), dict(weights=...) of a file, run or address, both, or dict(run=FOLDER)",
    "features": "what is clustered: see FEATURES",
    "clusterers": "{name: component}; one that names 'clusters' is fitted once and cut, "
    "any other is fitted for each number",
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
FEATURES: dict[str, Any] = dict(
    images=256,
    layers=None,
    size=256,
    truncation=0.5,
    noise="random",
    pixels=None,
    dtype="float32",
    seed=None,
    label=None,
    batch_size=1,
)
DTYPES = ("float32", "float16")
SOURCES = ("type", "weights", "run")
MOST_SEED = 2**32 - 1  # scikit-learn's

_TYPES: dict[str, Any] = {
    "title": str,
    "warn_iou": float,
    "device": str | None,
    "work_dir": str,
    "final": int,
}
_FEATURE_TYPES: dict[str, Any] = dict(
    images=int,
    size=int,
    truncation=float,
    noise=str,
    pixels=int | None,
    dtype=str,
    seed=int | None,
    label=int | None,
    batch_size=int,
)


@dataclass(frozen=True)
class PictureSettings:
    """The ``pictures`` of a clustering run's config.

    Args:
        samples: images a picture.
        seed: of them; another than that of the fitted images, so that they are new.
        pool: images that each cluster's best examples are chosen from.
        strip: samples that are followed over K.
        step: K of the merge whose confidence maps are shown; None = the merge that led to ``final``.
    """

    samples: int = 8
    seed: int = 2022
    pool: int = 24
    strip: int = 2
    step: int | None = None

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> PictureSettings:
        """From a config.

        Raises:
            ConfigError: for an unknown key, or a number that makes no sense.
        """
        known = [field.name for field in fields(cls)]
        for key, value in arguments.items():
            if key not in known:
                raise ConfigError(
                    f"pictures: unknown key {key!r}{near_miss(key, known)}; known: {', '.join(known)}"
                )
            if key == "seed":
                check_type(value, int, "pictures.seed")
                check_seed(value, "pictures.seed")
            elif (key, value) != ("step", None):
                check_whole(1, **{f"pictures.{key}": value})
        return cls(**arguments)


def read_config(
    name: str | Path,
    quick: bool = False,
    options: Mapping[str, Any] | None = None,
    plugins: Sequence[str | Path] = (),
    choices: Choices | None = None,
) -> Any:
    """A resolved, checked config of a clustering run, its defaults filled in.

    Arguments as of :func:`toolbox.load_config`; ``choices`` overrule the config.

    Raises:
        ConfigError: for what is wrong, naming the key, what is allowed and the near miss.
    """
    config = load_config(name, quick, options, plugins, command=COMMAND, keys=KEYS)
    return checked(config, name, choices)


def checked(config: Any, name: str | Path, choices: Choices | None = None) -> Any:
    """A config with its defaults filled in; see :func:`read_config`.

    Args:
        config: its top-level keys checked.
        name: of it, for messages.
        choices: overrule it.
    """
    if choices is not None:
        choices.apply(config)
    for key in ("generator", "clusterers", "final"):
        if config.get(key) is None:
            raise ConfigError(f"config {str(name)!r} has no {key}: {KEYS[key]}")
    for key in ("clusterers", "features", "pictures"):
        _check_is_dict(config.get(key), key)
    config.features = {**FEATURES, **_checked_features(config.get("features") or {})}
    _fill_in_defaults(config)
    for key, kind in _TYPES.items():
        if key in config:
            check_type(config[key], kind, key)
    _check_generator(config.generator)
    _check_numbers(config)
    _check_clusterers(config)
    if config.truth is not None:
        _looked_up(config.truth, "segmenter", "truth")
    _check_pictures(config)
    return config


def _fill_in_defaults(config: Any) -> None:
    """None is taken as not given."""
    defaults: dict[str, Any] = dict(
        shown=[config.final], seeds=[0], truth=None, pictures={}, warn_iou=0.8, device=None
    )
    for key, default in defaults.items():
        if config.get(key) is None:
            config[key] = default


def numbers_of(config: Any) -> list[int]:
    """Every number of clusters that the run answers for, the largest first."""
    return sorted({*config.shown, config.final}, reverse=True)


def is_cut(component: Mapping[str, Any]) -> bool:
    """Whether a clusterer is fitted once for all numbers of clusters."""
    return "clusters" in component


def _checked_features(features: Mapping[str, Any]) -> dict[str, Any]:
    for key in features:
        if key not in FEATURES:
            raise ConfigError(
                f"features: unknown key {key!r}{near_miss(key, FEATURES)}; known: {', '.join(FEATURES)}"
            )
    for key, kind in _FEATURE_TYPES.items():
        if features.get(key, FEATURES[key]) is not FEATURES[key]:
            check_type(features[key], kind, f"features.{key}")
    check_seed(features.get("seed") or 0, "features.seed")
    dtype = features.get("dtype", "float32")
    if dtype not in DTYPES:
        raise ConfigError(
            f"features.dtype={dtype!r} is not one of {list(DTYPES)}{near_miss(str(dtype), DTYPES)}"
        )
    return dict(features)


def _check_generator(generator: Any) -> None:
    named = [key for key in SOURCES if key in generator] if isinstance(generator, Mapping) else []
    if len(named) != 1 and named != ["type", "weights"]:
        raise ConfigError(
            f"generator={generator!r} must have one of {', '.join(SOURCES)}: {KEYS['generator']}"
        )
    unknown = [key for key in generator if key not in SOURCES]
    if named[0] != "type" and unknown:
        raise ConfigError(
            f"generator: {unknown[0]!r} goes with type=, not with {named[0]}={near_miss(unknown[0], SOURCES)}"
        )
    if named[0] == "type":
        _looked_up(generator, "generator", "generator")
    elif not isinstance(generator[named[0]], str) and not is_elsewhere(generator[named[0]]):
        raise ConfigError(
            f"generator.{named[0]}={generator[named[0]]!r} must be the path of a file or folder"
        )


def _check_numbers(config: Any) -> None:
    if config.final < 1:
        raise ConfigError(f"final={config.final} must be a whole number of at least 1")
    _check_list(config.shown, "shown", 1)
    _check_list(config.seeds, "seeds", 0)
    for seed in config.seeds:
        check_seed(seed, "seeds")
    if len(set(config.seeds)) < len(config.seeds):
        raise ConfigError(f"seeds={list(config.seeds)} name one twice")


def _check_list(values: Any, where: str, least: int) -> None:
    right = isinstance(values, (list, tuple)) and len(values) > 0
    if not right or not all(_is_whole(value) and value >= least for value in values):
        raise ConfigError(
            f"{where}={values!r} must be a list of whole numbers of at least {least}, one or more"
        )


def check_seed(seed: int, where: str) -> None:
    """A seed that everything takes that is seeded, or ConfigError."""
    if not 0 <= seed <= MOST_SEED:
        raise ConfigError(f"{where}: {seed} must lie in 0..{MOST_SEED}")


def _check_pictures(config: Any) -> None:
    """Their arguments; and that the samples are none of the images that are clustered."""
    seed = PictureSettings.of(config.pictures).seed
    clustered = list(config.seeds) if config.features.seed is None else [config.features.seed]
    if seed in clustered:
        raise ConfigError(
            f"pictures.seed={seed}: the images of this seed are clustered, and samples are to be new: take "
            f"one that is none of {clustered}"
        )


def _check_is_dict(value: Any, where: str) -> None:
    if value is not None and not isinstance(value, Mapping):
        raise ConfigError(f"{where}={value!r} must be a dict: {KEYS[where]}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check_clusterers(config: Any) -> None:
    """Each is known and can be asked for all numbers of clusters; None takes one of the base out."""
    for name, component in list(config.clusterers.items()):
        if component is None:
            config.clusterers.pop(name)
        else:
            _check_clusterer(config, name, component)
    if not config.clusterers:
        raise ConfigError(
            "clusterers is empty: name at least one, such as klish=dict(type='KLiSH', clusters=100)"
        )


def _check_clusterer(config: Any, name: str, component: Any) -> None:
    where = f"clusterers.{name}"
    if not re.fullmatch(r"\w+", name):
        raise ConfigError(f"{where}: a name may have letters, digits and underscores; files are called by it")
    found = _looked_up(component, "clusterer", where)
    if "seed" in component:
        raise ConfigError(
            f"{where}: seed={component['seed']} may not be set here: each of the config's seeds is tried"
        )
    if not is_cut(component) and "clusters" not in (accepted(found) or {}):
        raise ConfigError(
            f"{where}: {component['type']} has no argument 'clusters': it cannot be asked for {config.final}"
        )
    if is_cut(component) and not hasattr(found, "cut"):
        raise ConfigError(
            f"{where}: {component['type']} has no method cut(k), so that one fit cannot answer for every "
            f"number of clusters: leave 'clusters' out, and it is fitted for each of {numbers_of(config)}"
        )
    if is_cut(component):
        _check_first(component.get("first") or component["clusters"], max(numbers_of(config)), where)


def _check_first(first: Any, most: int, where: str) -> None:
    if not _is_whole(first):
        raise ConfigError(f"{where}.clusters={first!r} must be a whole number of at least 1")
    if first < most:
        raise ConfigError(
            f"{where}: it starts from {first} clusters, shown and final ask for {most}: start from more, or "
            "show fewer"
        )


def _looked_up(component: Any, kind: str, where: str) -> Any:
    """The class of a component, its arguments checked by name and type."""
    if not isinstance(component, Mapping):
        raise ConfigError(f"{where}={component!r} must be dict(type=...)")
    try:
        found = check(component, kind, where)
    except BuildError as error:
        raise ConfigError(str(error)) from error
    check_types({key: value for key, value in component.items() if key != "type"}, found, where)
    return found
