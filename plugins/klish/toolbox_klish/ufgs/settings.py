"""The config of ``toolbox klish segment``: what it may say, checked before any time is spent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from toolbox.catalog import near_miss
from toolbox.checking import check_type
from toolbox.config import KEYS as OF_TRAINING
from toolbox.config import ConfigError, check_keys, find_config, load_config
from toolbox_klish.checks import check_choice
from toolbox_klish.pairs.settings import PairSettings
from toolbox_klish.ufgs.matching import IMAGES, PROTOCOLS

COMMAND = "klish segment"

#: Top-level keys.
KEYS: dict[str, str] = {
    "title": "one line that says what the config is for",
    "command": "always 'klish segment'",
    "generator": "dict(type=...), dict(weights=...) or dict(run=...) of one at hand; None = 'gan' trains one",
    "gan": "the generator that is trained on the folder: see GAN",
    "clusters": "how its features are clustered: see CLUSTERS",
    "pairs": "arguments of PairSettings",
    "segmenter": "the training config of the segmenter of clusters, whose data are the pairs",
    "matching": "labelled images by which clusters are given to labels: see MATCHING",
    "evaluation": "labelled images to measure on: see EVALUATION",
    "pictures": "real images that are drawn beside their parts: see PICTURES",
    "device": "cpu, cuda, ...; None = a GPU if there is one",
    "quick": "overrides of --quick",
    "plugins": "plugin files to load",
    "work_dir": "where the run is kept; default runs/<config>",
    "default_scope": "mmengine's",
}

#: Keys of the dicts, with their defaults.
GAN: dict[str, Any] = dict(config=None, options={}, quick=False)
CLUSTERS: dict[str, Any] = dict(
    run=None, config=None, options={}, quick=False, clusterer="klish", number=None, fit=1990
)
MATCHING: dict[str, Any] = dict(data=None, images=IMAGES, protocol="paper", ignore=None)
EVALUATION: dict[str, Any] = dict(data=None, ignore=None, batch_size=50)
PICTURES: dict[str, Any] = dict(data=None, images=8)
_PARTS = dict(gan=GAN, clusters=CLUSTERS, matching=MATCHING, evaluation=EVALUATION, pictures=PICTURES)
_WHOLE = {
    "clusters.number": int | None,
    "clusters.fit": int,
    "matching.images": int,
    "matching.ignore": int | None,
    "evaluation.ignore": int | None,
    "evaluation.batch_size": int,
    "pictures.images": int,
}


def read_config(
    name: str | Path,
    quick: bool = False,
    options: Mapping[str, Any] | None = None,
    plugins: Sequence[str | Path] = (),
) -> Any:
    """A resolved, checked config, its defaults filled in; arguments as of :func:`toolbox.load_config`.

    Raises:
        ConfigError: for what is wrong, naming the key, what is allowed and the near miss.
    """
    config = load_config(name, quick, options, plugins, command=COMMAND, keys=KEYS)
    for part, defaults in _PARTS.items():
        config[part] = {**defaults, **_checked(part, config.get(part) or {}, defaults)}
    for key, kind in _WHOLE.items():
        part, _, inner = key.partition(".")
        check_type(config[part][inner], kind, key)
    for key in ("generator", "device"):
        config.setdefault(key, None)
    check_choice("matching.protocol", config.matching.protocol, PROTOCOLS)
    _check_generator(config)
    pair_settings(config)
    _check_segmenter(config)
    return config


def pair_settings(config: Any) -> PairSettings:
    """How the config's pairs are made.

    Raises:
        ConfigError: for an unknown key, or a value out of its range.
    """
    given = dict(config.get("pairs") or {})
    known = list(PairSettings.__dataclass_fields__)
    _checked("pairs", given, known)
    try:
        return PairSettings(**given)
    except ValueError as error:
        raise ConfigError(f"pairs: {error}") from None


def _checked(part: str, given: Any, known: Any) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise ConfigError(f"{part}={given!r} must be a dict: {KEYS[part]}")
    for key in given:
        if key not in known:
            raise ConfigError(
                f"{part}: unknown key {key!r}{near_miss(key, known)}; known: {', '.join(known)}"
            )
    return dict(given)


def _check_generator(config: Any) -> None:
    """There is one generator: at hand, of clusters at hand, or to be trained; configs named are there."""
    for named in (config.gan.config, config.clusters.config):
        if named is not None:
            find_config(named)
    if config.generator is None and config.clusters.run is None and not config.gan.config:
        raise ConfigError(
            "the config has no generator and no gan.config: name one at hand with --generator, or a training "
            "config with --cfg-options gan.config=toolbox/stylegan2_ada_auto"
        )
    typed = config.generator is not None and "type" in config.generator
    if typed and config.clusters.config is None and config.clusters.run is None:
        raise ConfigError(
            "generator=dict(type=...) needs clusters.config, the clustering config that says how its "
            "features are clustered, such as klish/klish_embedded"
        )


def _check_segmenter(config: Any) -> None:
    """A training config whose data set takes a source, which will be the pairs."""
    own = config.get("segmenter")
    if not isinstance(own, Mapping):
        raise ConfigError(f"segmenter={own!r} must be a dict: {KEYS['segmenter']}")
    check_keys(own, "segmenter", OF_TRAINING)
    if "segmenter" not in ((own.get("model") or {}).get("networks") or {}):
        raise ConfigError("segmenter.model.networks has no 'segmenter', the network that is trained on pairs")
    dataset = (own.get("train_dataloader") or {}).get("dataset") or {}
    if (dataset.get("source") or {}).get("type") != "MaskShards":
        raise ConfigError(
            "segmenter.train_dataloader.dataset.source must be dict(type='MaskShards'): the pairs of the run"
        )
