"""A corpus of wrong configs: the dry run refuses each with one line that names the key.

Most entries are made: every number of every component of five shipped configs set to what it cannot be, every
name, type and reference misspelt. The rest are slips of people. A few run always, all with the slow tests.
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterator
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

_PORTRAITS = dict(images=32, image_size=16)
_CLASSES = dict(type="DrawnPortraits", images=64, image_size=32)
_BIGGAN = dict(
    train_dataloader=dict(batch_size=8, dataset=dict(source=_CLASSES)),
    model=dict(networks=dict(generator=dict(channels=4), discriminator=dict(channels=4))),
    evaluation=dict(real=_CLASSES, test=_CLASSES),
)
_NARROW = dict(image_size=16, channel_base=64, channel_max=8)
_STYLE = dict(latent_dim=8, style_dim=8, mapping_layers=1)
_GROWTH = dict(image_size=16, start=8, batch_sizes=[8, 4])
#: What makes each shipped config small: nothing is trained here, but everything is built.
SMALL: dict[str, dict[str, Any]] = {
    "biggan_cifar": _BIGGAN,
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
    "lcp_cifar": override(
        _BIGGAN, dict(train_dataloader=dict(dataset=dict(source=_CLASSES, split=dict(labelled_per_class=4))))
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


def numbers_of(kind: str) -> Iterator[tuple[str, list[Any]]]:
    """(argument, what else it cannot be) of a component's numbers."""
    component = check({"type": kind})
    hints = checking._hints(component)
    for name in accepted(component) or ():
        parts = set(checking._parts(hints.get(name)))
        if parts & {int, float} and parts <= {int, float, type(None)}:
            yield name, [*([] if float in parts else [1.5]), *([] if type(None) in parts else [None])]


def numbers(name: str) -> Iterator[Wrong]:
    """Every number of every component: not a number at all, NaN, infinite, negative."""
    for way, level in components(name):
        if not is_ours(level["type"]):
            continue
        for argument, others in numbers_of(level["type"]):
            for value in [-1, math.nan, math.inf, "a", True, [1], {}, *others]:
                yield Wrong(name, (*way, argument), value, argument)


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
        ramps = dict(to=-1), dict(too=1), dict(unit="epochs"), dict(begin=9, end=3), dict(end=math.nan)
        for value in (-1, math.nan, math.inf, "a", None, True, [1], *ramps):
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
    found: dict[str, Wrong] = {}
    for wrong in (wrong for name in SMALL for make in makers for wrong in make(name)):
        found.setdefault(wrong.fault(), wrong)
    return [*found.values(), *sections("biggan_cifar")]


# -- slips of people -----------------------------------------------------------------------------------------

NONE_OF = (0, -1, 1.5, math.nan, "a", None, True, [1])  # no whole number of 1 or more

#: {config: {dotted place: wrong values}}; the message names the last part of the place, or what follows '|'.
SLIPS: dict[str, dict[str, tuple[Any, ...]]] = {
    "biggan_cifar": {
        "seed": (None, "a", 1.5, math.nan, True, [0]),
        "threads": (-1, "a", None, 1.5),
        "title": (3, ["a"]),
        "deterministic": ("yes", 2, None),
        "precision": ("fp8", 16, None),
        "channels_last": (3, "yes"),
        "compile": ("fast", dict(mod="default"), dict(backend="inductr")),
        "load_from": ("nowhere.pth", 3),
        "work_dir": (3, ["runs"]),
        "train_cfg.max_iters": (*NONE_OF, GONE),
        "train_cfg.by_epoch": (True,),
        "train_cfg.type": ("EpochBasedTrainLoop",),
        "train_dataloader.batch_size": (*NONE_OF, GONE),
        "train_dataloader.num_workers": (-1, "a", None, 1.5),
        "train_dataloader.prefetch_factor": (-1, 4),
        "train_dataloader.timeout": (-1,),
        "train_dataloader.pin_memory": ("yes",),
        "train_dataloader.dataset": (GONE, None, 3, "CIFAR10", [1]),
        "train_dataloader.dataset.source": (GONE, 3, "CIFAR10"),
        "train_dataloader.dataset.source.split": ("tran", 3),
        "train_dataloader.dataset.source.image_size": (0, -8, 2.5, "a"),
        "train_dataloader.dataset.split|labelled": (
            dict(labelled_per_class=0),
            dict(labelled_fraction=2),
            {},
            dict(labelled_per_class=10_000),
            dict(labelled_per_class=1, labelled_fraction=0.1),
            dict(labelled_per_clas=1),
        ),
        "train_dataloader.dataset.split|unlabelled": (dict(labelled_per_class=1, unlabelled="some"),),
        "train_dataloader.dataset.transforms": (3, "HorizontalFlip", [3], dict(type="HorizontalFlip")),
        "train_dataloader.dataset.transforms.0.p": (2, -0.1, "half", None),
        "train_dataloader.sampler": (dict(labelled_fraction=2.0), dict(seed=3), dict(shufle=True), 3),
        "model.fakes": ("fresher", None, 3),
        "model.generator": ("generatorr", None),
        "model.branches": ([],),
        "model.log_every": NONE_OF,
        "model.precision": ("bf32",),
        "model.seed": (3,),
        "model.players": ({},),
        "model.phases|player": ([{}], [dict(playr="generator")], [dict(player=None)]),
        "model.phases.0.precision": ("fp8",),
        "model.objectives.real_or_fake.type": ("BigGANGenerator",),
        "model.objectives.real_or_fake.joint": ("yes",),
        "model.conditioner.type": ("BigGANGenerator", "ClassCondition"),
        "model.conditioner.class_names": ("data:clases", ["cat"], ["cat", "dog", "hat"]),
        "model.networks.generator": (3, "BigGANGenerator", dict(channels=4), {}),
        "model.networks.generator.image_size": (33, 0, -32),
        "model.networks.generator.latent_dim": (81,),
        "model.networks.generator.init": ("orthogonl",),
        "model.networks.generator.n_conditions": ("data:n_condition", -1),
        "model.networks.generator.uses|nobody": (dict(init="nobody"),),
        "model.networks.generator.uses|nothing": (dict(nothing="discriminator"),),
        "model.networks.discriminator.factors": ((1, 2), (1, -1, 1, 1)),
        "model.augment.policy": ("colour", 3),
        "model.augment.discriminators": ("discriminator", ["nobody"]),
        "model.average|nobody": (dict(nobody={}),),
        "optim_wrapper.nobody": (dict(optimizer=dict(type="Adam", lr=1e-3)),),
        "optim_wrapper.generator": (GONE, 3, {}),
        "optim_wrapper.generator.accumulative_counts": (2,),
        "optim_wrapper.generator.type": ("AmpOptimWraper",),
        "optim_wrapper.generator.optimizer.eps": (-1e-8, math.nan),
        "optim_wrapper.generator.optimizer.momentm": (0.9,),
        "hooks.checkpoints.interval": NONE_OF,
        "hooks.checkpoints.keep": (-1, 1.5, "a", None),
        "hooks.checkpoints.best": ("fid", 3),
        "hooks.samples": (3, "SampleGrid", {}),
        "hooks.samples.interval": NONE_OF,
        "hooks.evaluation|interval": (dict(type="Evaluation", interval=0),),
        "hooks.evaluation|fidd": (dict(type="Evaluation", metrics=["fidd"]),),
        "hooks.evaluation|n_fake": (dict(type="Evaluation", n_fake=0),),
        "evaluation.n_fake": NONE_OF,
        "evaluation.batch_size": NONE_OF,
        "evaluation.bn": ("batchh", 3, None),
        "evaluation.seed": (None, "a", 1.5),
        "evaluation.cache_dir": (3,),
        "evaluation.real": (GONE, 3, "CIFAR10", dict(type="CIFAR11"), dict(type="FID")),
        "evaluation.extractor": (3, dict(size=3), dict(type="PooledPixel")),
        "evaluation.metrics": (3, "fid", ["fid"]),
        "evaluation.metrics.fid": (3, "FID", {}),
        "evaluation.metrics.fidd": (dict(type="FIDD"), dict(ddof=0)),
        "evaluation.n_fakes": (3,),
        "param_scheduler": (3, [dict(type="LinearLRR")], dict(nobody=[])),
        "param_scheduler.|start_facter": (dict(type="LinearLR", start_facter=0.1),),
        "default_hooks": (dict(loger=None), dict(checkpoint=dict(interval=1))),
        "default_hooks|interval": (dict(logger=dict(interval="a")), dict(logger=dict(intervall=3))),
        "env_cfg": (dict(dist_cfg=dict(backend="nccl")), dict(cudnn_benchmarks=True)),
        "log_processor": (dict(by_epoch=True), dict(window_sze=3)),
        "stages|stages": ("classifier", ["classifier"]),
    },
    "lcp_cifar": {
        "stages": (["classifierr"], "classifier", ["classifier", "classifier"]),
        "before": (dict(classifier=3),),
        "before.classifier.train_cfg.max_iters": (0, -1),
        "before.classifier.work_dir": ("elsewhere",),
        "before.classifier.model.objectives.pseudo.threshold": (1.5, "a"),
        "model.networks.classifier.weights": (dict(stage="classifierr"), dict(stages="classifier")),
        "model.networks.classifier.weights|networkk": (dict(stage="classifier", networkk="classifier"),),
        "model.networks.classifier.weights|nobody": (dict(stage="classifier", network="nobody"),),
        "model.networks.prompt_discriminator.uses": (dict(clip="clipp"), dict(clp="clip"), 3),
        "model.networks.prompt_discriminator.prompts.context": (0, -1, 1000, "a", None),
        "model.networks.prompt_discriminator.prompts.position": ("last",),
        "model.networks.prompt_discriminator.prompts.template": ("a photo",),
        "model.conditioner.clusters": (0, -1, 1.5, "three", None, dict(nobody=3)),
        "model.conditioner.class_names": ([], ["cat"]),
        "model.conditioner.sampler.type": ("EmpiricalCoefficient", "SoftKMeans"),
        "model.conditioner.sampler|alpha": (dict(type="DirichletCoefficients", alpha="fitt"),),
        "model.conditioner.sampler|tau": (dict(type="SoftmaxNormalCoefficients", tau=0),),
        "model.conditioner.clusterer.delta": ("atuo", 0, -1),
        "model.conditioner.extractor": (GONE, dict(type="EmbeddedClipFeature")),
        "model.objectives.prompts.discriminator": (None,),
        "model.objectives.prompts.discriminator|model.objectives.prompts: ": ("prompt_discriminatr",),
        "train_dataloader.dataset.split.seed": (-1, "a", None),
    },
    "stylegan2_config_f": {
        "model.networks.generator.image_size": (100, 2, 16.5),
        "model.networks.generator.preset": ("config_g",),
        "model.networks.generator.architecture": ("skipp",),
        "model.networks.generator.noise_mode": ("constant",),
        "model.networks.generator.style_mixing_prob": (1.1, -0.1, math.nan),
        "model.networks.generator.channel_base": (8, 0),
        "model.objectives.path_length.decay": (2, 0, -0.5, math.nan),
        "model.objectives.path_length.shrink": (0, 1.5),
        "model.objectives.r1.gamma": (-1, math.nan, math.inf, "a", None),
        "model.average.generator.decay": (1, 1.5, -0.1),
        "model.average.generator.half_life_kimg": (-1, math.nan),
        "model.augment|target": tuple(dict(type="AdaptiveAugment", target=t) for t in (2, -2, math.nan, "a")),
        "model.augment|pipeline": (dict(type="AdaptiveAugment", pipeline="bgcx"),),
        "optim_wrapper.generator.limit": (0, -1, math.nan),
    },
    "pggan_folder": {
        "hooks.growing.growth.kimg": (0, -1, math.nan, "a"),
        "hooks.growing.growth.start": (5, 32),
        "hooks.growing.growth.lr_factors": ([], [-1.0], ["a"]),
        "hooks.growing.growth.batch_sizes": ([0], [1.5], [4, 2]),
        "hooks.growing.growth.kimgs": (3,),
        "hooks.growing.networks": (["nobody"], 3),
        "model.networks.generator.lod": (-1, 7, math.nan),
        "model.networks.discriminator.minibatch_std_group": (-1, 1.5),
    },
    "segmenter_portraits": {
        "train_dataloader.dataset.transforms|TwoViews": ([dict(type="TwoViews")],),
        "train_dataloader.dataset.transforms|StrongAugment": ([dict(type="StrongAugment")],),
        "train_dataloader.dataset.transforms.0.shift": (1, -0.1, math.nan),
        "train_dataloader.dataset.transforms.1.hue": (200, -1),
        "model.networks.segmenter.depth": (0, 30),
        "model.networks.segmenter.part_names": (["one"], "text"),
        "model.objectives|label_smoothing": (dict(masks=dict(type="CrossEntropy", label_smoothing=1.0)),),
        "hooks.test.network": ("segmentr",),
        "hooks.test.data": (3, dict(type="DrawnPortrait")),
        "param_scheduler.0.type": ("LinearLRR",),
        "param_scheduler.0.start_factor|param_scheduler.0": (-1, 2, "a", math.nan),
        "param_scheduler.0.end|param_scheduler.0": ("a", -1),
    },
}


def slips() -> Iterator[Wrong]:
    """SLIPS, one by one."""
    for name, places in SLIPS.items():
        for place, values in places.items():
            dotted, _, says = place.partition("|")
            way = tuple(int(part) if part.isdigit() else part for part in dotted.rstrip(".").split("."))
            for value in values:
                named = value if isinstance(value, str) and way[-1] == "type" else way[-1]
                yield Wrong(name, way, value, says or str(named))


#: What the dry run cannot refuse: it could be meant.
RIGHT = (
    ("stylegan2_config_f", "model.networks.generator.conv_clamp", math.inf),  # no clamp
    ("stylegan2_config_f", "model.networks.discriminator.conv_clamp", math.inf),
)


def is_right(wrong: Wrong) -> bool:
    return (wrong.config, ".".join(map(str, wrong.way)), wrong.value) in RIGHT


@cache
def corpus() -> list[Wrong]:
    """All of it; what is made and slips too is there once."""
    wanted = [wrong for wrong in [*slips(), *made()] if not is_right(wrong)]
    return list({f"{wrong.config}{wrong.way}{wrong.value!r}": wrong for wrong in wanted}.values())


def judged(entries: list[Wrong]) -> list[str]:
    """What is the matter with those that are not refused as they should be; prints the figures."""
    found = [verdict(wrong) for wrong in entries]
    bad = [f"{wrong}: {what}" for wrong, what in zip(entries, found, strict=True) if what]
    refused = len(found) - len(bad)
    accepted_ones = found.count("accepted")
    torn = sum(what.startswith("TRACEBACK") for what in found)
    figures = f"{refused} refused well, {accepted_ones} accepted, {torn} tracebacks"
    print(f"{len(found)} wrong configs: {figures}")  # noqa: T201 (pytest -s shows it)
    return bad


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n == "lcp_cifar" else n for n in SMALL]
)
def test_what_is_right_is_accepted(name: str) -> None:
    """The corpus would prove nothing if the configs were refused without their faults."""
    summary(Config(copy.deepcopy(base(name))), memory=False)


def test_some_wrong_configs_are_refused() -> None:
    light = [wrong for wrong in corpus() if wrong.config in ("stylegan2_config_f", "segmenter_portraits")]
    assert judged(light[:: len(light) // 40]) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_all_wrong_configs_are_refused(name: str) -> None:
    entries = [wrong for wrong in corpus() if wrong.config == name]
    assert len(corpus()) >= 300
    assert judged(entries) == []
