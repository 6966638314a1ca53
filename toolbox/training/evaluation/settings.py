"""What a config's ``evaluation`` may say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolbox.catalog import near_miss
from toolbox.checking import check_at_least, check_known
from toolbox.config import ConfigError
from toolbox.registry import accepted, check
from toolbox.training.game.sampler import BATCHNORM_MODES

REAL = "real"  # as captions: those of the real data
KEYS = ("metrics", "extractor", "real", "captions", "test", "n_fake", "batch_size", "bn", "seed", "cache_dir")


def check_evaluation(settings: Mapping[str, Any]) -> None:
    """What can be said of an ``evaluation`` before a game is trained.

    Raises:
        ConfigError: for an unknown key, or no real data.
        BuildError: for an unknown metric, or an unknown argument of one.
    """
    for key in settings:
        if key not in KEYS:
            raise ConfigError(f"evaluation has no key {key!r}{near_miss(key, KEYS)}; keys: {', '.join(KEYS)}")
    captions = settings.get("captions")
    if isinstance(captions, str) and captions != REAL:
        raise ConfigError(
            f"evaluation.captions={captions!r}: it is a data set, dict(type=...), or {REAL!r} for that of "
            f"evaluation.real{near_miss(captions, [REAL])}"
        )
    for key in ("n_fake", "batch_size"):
        check_at_least(1, settings.get(key, 1), f"evaluation.{key}")
    bn = settings.get("bn", "running")
    if bn not in BATCHNORM_MODES:
        hint = near_miss(str(bn), BATCHNORM_MODES)
        raise ConfigError(f"evaluation.bn={bn!r} must be one of {', '.join(BATCHNORM_MODES)}{hint}")
    if settings.get("real") is None:
        raise ConfigError(
            "the config says nothing of evaluation.real: name the data set that generated images are "
            "compared with, evaluation=dict(real=dict(type=...), metrics=dict(fid=dict(type='FID')), ...)"
        )
    for name, config in (settings.get("metrics") or {}).items():
        if config is not None:
            where = f"evaluation.metrics.{name}"
            check(without_uses(config), "metric", where)
            kind = check({"type": config["type"]}, "metric", where)
            own = accepted(kind)
            if own:
                check_known(config.get("uses") or {}, own, f"{where}.uses")
            check_lent(kind, config.get("uses") or {}, where)


def check_lent(kind: type, uses: Mapping[str, str], where: str) -> None:
    """Refuse networks of the game for a metric that must judge from outside.

    Raises:
        ConfigError: naming what to give in their place.
    """
    if uses and not getattr(kind, "own_networks", True):
        raise ConfigError(
            f"{where}.uses={dict(uses)}: {kind.__name__} must not judge by the run's own networks, which "
            "teach the generator. Give the file of another DAMSM (encoder=dict(type='DamsmImageEncoder', "
            "weights='FILE'), text_encoder=dict(type='DamsmTextEncoder', weights='FILE')), or a CLIP"
        )


def without_uses(config: Mapping[str, Any]) -> dict[str, Any]:
    """A metric's own arguments: ``uses`` names networks of the game that it borrows."""
    return {key: value for key, value in config.items() if key != "uses"}
