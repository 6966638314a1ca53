"""What a config's ``evaluation`` may say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolbox.catalog import near_miss
from toolbox.checking import check_at_least, check_known, check_type
from toolbox.config import ConfigError
from toolbox.interfaces import Metric
from toolbox.registry import accepted, build, check
from toolbox.training.game.sampler import BATCHNORM_MODES

REAL = "real"  # as captions: those of the real data
KEYS = (
    "metrics",
    "extractor",
    "real",
    "captions",
    "test",
    "source",
    "n_fake",
    "batch_size",
    "bn",
    "truncation",
    "seed",
    "cache_dir",
)


def check_evaluation(settings: Mapping[str, Any]) -> None:
    """What can be said of an ``evaluation`` before a game is trained.

    Raises:
        ConfigError: for an unknown key, or a value that none can have.
        BuildError: for an unknown metric, or an unknown argument of one.
    """
    for key in settings:
        if key not in KEYS:
            raise ConfigError(f"evaluation has no key {key!r}{near_miss(key, KEYS)}; keys: {', '.join(KEYS)}")
    _check_captions(settings)
    for key in ("n_fake", "batch_size"):
        check_at_least(1, settings.get(key, 1), f"evaluation.{key}")
    bn = settings.get("bn", "running")
    if bn not in BATCHNORM_MODES:
        hint = near_miss(str(bn), BATCHNORM_MODES)
        raise ConfigError(f"evaluation.bn={bn!r} must be one of {', '.join(BATCHNORM_MODES)}{hint}")
    truncation = settings.get("truncation", 1.0)
    check_type(truncation, float, "evaluation.truncation")
    if not 0 < truncation <= 1:
        raise ConfigError(f"evaluation.truncation={truncation} must lie in (0, 1]; 1 = none")
    check_type(settings.get("source"), str | None, "evaluation.source")
    for name, config in (settings.get("metrics") or {}).items():
        if config is not None:
            where = f"evaluation.metrics.{name}"
            check(without_uses(config), "metric", where)
            kind = check({"type": config["type"]}, "metric", where)
            own = accepted(kind)
            if own:
                check_known(config.get("uses") or {}, own, f"{where}.uses")
            check_lent(kind, config.get("uses") or {}, where)


def _check_captions(settings: Mapping[str, Any]) -> None:
    captions = settings.get("captions")
    if isinstance(captions, str) and captions != REAL:
        raise ConfigError(
            f"evaluation.captions={captions!r}: it is a data set, dict(type=...), or {REAL!r} for that of "
            f"evaluation.real{near_miss(captions, [REAL])}"
        )
    if captions == REAL and settings.get("real") is None:
        raise ConfigError("evaluation.captions='real': the config says nothing of evaluation.real")


def real_of(settings: Mapping[str, Any]) -> Any:
    """The data set that generated images are compared with, built; None where there is none."""
    return build(settings.get("real"), "dataset", "evaluation.real")


def needs_real(metric: Metric) -> bool:
    """Whether a metric, built, must be fed real images."""
    return "real" in metric.needs and bool(getattr(metric, "uses_real", True))


def refuse_without_real(metrics: Mapping[str, Metric], real: Any) -> None:
    """Raise ConfigError for metrics that compare with real images where there are none."""
    names = [name for name, metric in metrics.items() if needs_real(metric)]
    if real is None and names:
        raise ConfigError(
            f"the config says nothing of evaluation.real, and {', '.join(names)} would compare with it: name "
            "a data set, evaluation=dict(real=dict(type=...), ...), or leave them out, "
            f"metrics=dict({names[0]}=None)"
        )


def check_lent(kind: type, uses: Mapping[str, str], where: str) -> None:
    """Refuse networks of the game for a metric that must judge from outside.

    Raises:
        ConfigError: naming what to give in their place.
    """
    if uses and not getattr(kind, "own_networks", True):
        raise ConfigError(
            f"{where}.uses={dict(uses)}: {kind.__name__} must not judge by the run's own networks, which "
            f"teach the generator. Give {getattr(kind, 'from_outside', '') or 'networks of its own'}"
        )


def without_uses(config: Mapping[str, Any]) -> dict[str, Any]:
    """A metric's own arguments: ``uses`` names networks of the game that it borrows."""
    return {key: value for key, value in config.items() if key != "uses"}
