"""A corpus of wrong configs: the dry run refuses each with one line that names the key.

Most entries are made: every number of every component of five shipped configs set to what no number is, every
name, type and reference misspelt. The rest are slips of people. A few run always, all of them with the slow tests.
"""

from __future__ import annotations

import copy
import inspect
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from mmengine import Config

from toolbox import checking
from toolbox.config import ConfigError, load_config, override
from toolbox.registry import BuildError, accepted, check
from toolbox.training.explain.summary import summary
from toolbox.training.game.phases import PlanError

CONFIGS = Path(__file__).parents[2] / "configs"
OURS = (ConfigError, BuildError, PlanError)
GONE = object()  # instead of a value: the key is taken out

_FASHION = dict(type="EmbeddedFashion", image_size=32)
_PORTRAITS = dict(images=32, image_size=16)
_NARROW = dict(image_size=16, channel_base=64, channel_max=8)
_STYLE = dict(latent_dim=8, style_dim=8, mapping_layers=1)
_GROWTH = dict(image_size=16, start=8, batch_sizes=[8, 4])
#: What makes each shipped config small: nothing is trained here, but everything is built.
SMALL: dict[str, dict[str, Any]] = {
    "biggan_cifar": dict(
        train_dataloader=dict(batch_size=8),
        model=dict(networks=dict(generator=dict(channels=4), discriminator=dict(channels=4))),
    ),
    "stylegan2_config_f": dict(
        train_dataloader=dict(batch_size=8, dataset=dict(source=_PORTRAITS)),
        model=dict(networks=dict(generator=dict(**_STYLE, **_NARROW), discriminator=_NARROW)),
    ),
    "pggan_folder": dict(
        train_dataloader=dict(
            batch_size=8, batch_sampler=dict(growth=_GROWTH), dataset=dict(source=_PORTRAITS)
        ),
        model=dict(networks=dict(generator=dict(latent_dim=8, **_NARROW), discriminator=_NARROW)),
        hooks=dict(growing=dict(growth=_GROWTH)),
    ),
    "lcp_cifar": dict(
        train_dataloader=dict(batch_size=8),
        model=dict(networks=dict(generator=dict(channels=4), discriminator=dict(channels=4))),
    ),
    "segmenter_portraits": dict(
        train_dataloader=dict(batch_size=8, dataset=dict(source=dict(images=32))),
        hooks=dict(test=dict(data=dict(images=8))),
    ),
}


@cache
def base(name: str) -> dict[str, Any]:
    """A shipped config, --quick and small."""
    whole = load_config(CONFIGS / f"{name}.py", quick=True).to_dict()
    made: dict[str, Any] = override(whole, SMALL[name])
    return made


@dataclass(frozen=True)
class Wrong:
    """A config with one fault: ``value`` at ``way``, which the message must name by ``says``."""

    config: str
    way: tuple[str | int, ...]
    value: Any
    says: str

    def __str__(self) -> str:
        shown = "-" if self.value is GONE else repr(self.value)[:40]
        return f"{self.config}: {'.'.join(map(str, self.way))}={shown}"

    def fault(self) -> str:
        """What is wrong with what, wherever it stands."""
        place: Any = base(self.config)
        for step in self.way[:-1]:
            place = place[step]
        of = place.get("type", self.way[-2]) if isinstance(place, dict) else self.way[-2]
        return f"{of}.{self.way[-1]}={self.value!r}"

    def build(self) -> Config:
        """The whole config."""
        whole = copy.deepcopy(base(self.config))
        place: Any = whole
        for step in self.way[:-1]:
            place = place[step]
        if self.value is GONE:
            del place[self.way[-1]]
        else:
            place[self.way[-1]] = copy.deepcopy(self.value)
        return Config(whole)


def verdict(wrong: Wrong) -> str:
    """'' for one line that names the key; else what is the matter."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            summary(wrong.build(), memory=False)
    except OURS as error:
        message = str(error)
        if "\n" in message:
            return f"more than one line: {message[:200]!r}"
        return "" if wrong.says in message else f"does not name {wrong.says!r}: {message[:300]}"
    except Exception as error:
        return f"TRACEBACK {type(error).__name__}: {error}"
    return "accepted"


# -- what is made --------------------------------------------------------------------------------------------


def levels(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Every dict inside, with the way to it."""
    if isinstance(value, dict):
        yield way, value
    pairs: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, (list, tuple)):
        pairs = enumerate(value)
    for key, inner in pairs:
        yield from levels(inner, (*way, key))


def components(name: str) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Every component of a config that the toolbox's own catalog knows."""
    for way, level in levels(base(name)):
        if isinstance(level.get("type"), str) and way[:1] != ("quick",) and "optimizer" not in way:
            yield way, level


def is_ours(kind: str) -> bool:
    try:
        check({"type": kind})
    except BuildError:  # mmengine's or torch's
        return False
    return True


def numbers_of(kind: str) -> Iterator[tuple[str, bool]]:
    """(argument, whether it is a whole number) of a component."""
    component = check({"type": kind})
    hints = checking._hints(component)
    for name, parameter in (accepted(component) or {}).items():
        parts = set(checking._parts(hints.get(name)))
        if parts & {int, float} and parts <= {int, float, type(None)}:
            yield name, float not in parts
        elif parameter.default is inspect.Parameter.empty:
            continue


def numbers(name: str) -> Iterator[Wrong]:
    """Every number of every component: not a number at all, NaN, infinite, negative."""
    for way, level in components(name):
        if not is_ours(level["type"]):
            continue
        for argument, whole in numbers_of(level["type"]):
            for value in [-1, math.nan, math.inf, "a", True, [1], {}, *([1.5] if whole else [])]:
                yield Wrong(name, (*way, argument), value, argument)
            default = (accepted(check({"type": level["type"]})) or {})[argument].default
            if default is not None and "None" not in str(checking._hints(check({"type": level["type"]}))[argument]):
                yield Wrong(name, (*way, argument), None, argument)


def types(name: str) -> Iterator[Wrong]:
    """Every type misspelt, and none at all."""
    for way, level in components(name):
        kind = level["type"]
        yield Wrong(name, (*way, "type"), f"{kind[:-1]}{kind[-1] * 2}", kind[:-1])
        yield Wrong(name, (*way, "type"), 3, "3")


def keys(name: str) -> Iterator[Wrong]:
    """A misspelt key beside those of every component."""
    for way, level in components(name):
        for key in sorted(key for key in level if key != "type")[:2]:
            yield Wrong(name, (*way, f"{key}x"), level[key], f"{key}x")


def sections(name: str) -> Iterator[Wrong]:
    """Sections of another kind."""
    for key in ("model", "train_dataloader", "optim_wrapper", "train_cfg", "hooks", "evaluation", "before"):
        for value in (3, "text", [1]):
            yield Wrong(name, (key,), value, key)
    for key in ("networks", "players", "phases", "objectives", "average", "conditioner", "augment"):
        for value in (3, "text"):
            yield Wrong(name, ("model", key), value, key)


def references(name: str) -> Iterator[Wrong]:
    """Names of what is not there."""
    model = base(name)["model"]
    for player, members in model["players"].items():
        yield Wrong(name, ("model", "players", player), [*members, "nobody"], "nobody")
        yield Wrong(name, ("model", "players", player), members[0], members[0])
    for number in range(len(model["phases"])):
        yield Wrong(name, ("model", "phases", number, "player"), "nobody", "nobody")
        yield Wrong(name, ("model", "phases", number, "objectives"), ["nothing"], "nothing")
        for key in ("every", "repeat", "accumulate"):
            for value in (0, -1, math.nan, "a", None, 1.5):
                yield Wrong(name, ("model", "phases", number, key), value, key)
    for objective in model["objectives"]:
        for value in (-1, math.nan, math.inf, "a", None, True, [1], dict(to=-1), dict(too=1), dict(unit="epochs")):
            yield Wrong(name, ("model", "objectives", objective, "weight"), value, "weight")
    for network in model["networks"]:
        if network in (model.get("average") or {}):
            for key, value in dict(decay=2, start=-1, half_life_kimg=-1, rampup=math.nan, deccay=0.9).items():
                yield Wrong(name, ("model", "average", network, key), value, key)
    yield Wrong(name, ("model", "average"), dict(nobody=dict(decay=0.9)), "nobody")


def optimisers(name: str) -> Iterator[Wrong]:
    """Optimisers, their wrappers, schedules."""
    for player, entry in base(name)["optim_wrapper"].items():
        way = ("optim_wrapper", player)
        for value in (-1, math.nan, math.inf, "a", None, True, [1]):
            yield Wrong(name, (*way, "optimizer", "lr"), value, "lr")
            yield Wrong(name, (*way, "optimizer", "weight_decay"), value, "weight_decay")
        if "betas" in entry["optimizer"]:
            for value in (("a", 0.9), (0.5, 1.5), (-1, 0.9), (math.nan, 0.9), 0.9, "text", (0.9,), None):
                yield Wrong(name, (*way, "optimizer", "betas"), value, "betas")
        for clip in (dict(max_norm=-1), dict(max_norm="a"), dict(max_norm=math.nan), dict(max_nrm=1), 3):
            yield Wrong(name, (*way, "clip_grad"), clip, "clip_grad")
        member = base(name)["model"]["players"][player][0]
        for factor in (-1, math.nan, math.inf, "a", None):
            yield Wrong(name, (*way, "lr_mult"), {member: factor}, "lr_mult")
        yield Wrong(name, (*way, "lr_mult"), dict(nobody=1.0), "nobody")
        yield Wrong(name, (*way, "optimizer", "type"), "Adamm", "Adam")
        yield Wrong(name, (*way, "optimizer"), GONE, "optimizer")


def made() -> list[Wrong]:
    """All of them; one fault of one component once, in whatever config it comes first."""
    makers = (numbers, types, keys, references, optimisers)
    found = {wrong.fault(): wrong for name in SMALL for make in makers for wrong in make(name)}
    return [*found.values(), *sections("biggan_cifar")]
