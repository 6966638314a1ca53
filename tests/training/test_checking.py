"""Every key of every level of every shipped training config, misspelt: an error that names it and what was
meant.

Clustering configs have tests of their own: tests/plugins/klish/test_klish_configs.py.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mmengine import Config

from toolbox.config import ConfigError, load_config
from toolbox.config.resolved import read, resolve
from toolbox.registry import BuildError
from toolbox.training.game.phases import PlanError
from toolbox.training.run.prepare import prepare

ALL = sorted((Path(__file__).parents[2] / "configs").glob("*.py"))
CONFIGS = [path for path in ALL if not path.name.startswith(("klish_", "ufgs_"))]
#: One of each family; all of them in the slow suite.
FEW = ("biggan_cifar", "clip_embedded", "galip_emoji", "ipl_portraits", "lcp_cifar", "scl_galip_emoji")
FEW += ("segmenter_portraits", "stylegan2_ada_cifar", "stylegan_classes")
ERRORS = (ConfigError, BuildError, PlanError)

few_and_all = pytest.mark.parametrize(
    ("paths", "levels_at_least"),
    [
        ([path for path in CONFIGS if path.stem in FEW], 60),
        pytest.param(CONFIGS, 150, marks=pytest.mark.slow),
    ],
    ids=["few", "all"],
)


def levels(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Every dict inside, with the way to it."""
    if isinstance(value, dict):
        yield way, value
    for key, inner in (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, (list, tuple))
        else ()
    ):
        yield from levels(inner, (*way, key))


def slips(value: dict[str, Any], seen: set[str], once: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """(misspelt key, the whole with it beside the right one) for a key of each level not seen before in a
    config.
    """
    for way, level in levels(value):
        keys = sorted(key for key in level if level[key] is not None)
        if not keys or (place := f"{once}{way}{level}") in seen:
            continue
        seen.add(place)
        broken = copy.deepcopy(value)
        here: Any = broken
        for step in way:
            here = here[step]
        entry = here[keys[0]]
        here[f"{keys[0]}x"] = (
            {k: v for k, v in entry.items() if k != "type"} if isinstance(entry, dict) else entry
        )
        yield keys[0], broken


def assert_refused(config: Any, key: str, path: Path) -> None:
    with pytest.raises(ERRORS) as caught:
        prepare(config if isinstance(config, Config) else Config(config))
    assert f"{key}x" in str(caught.value), f"{path.stem}: {caught.value}"
    assert f"did you mean {key!r}" in str(caught.value), f"{path.stem}: {caught.value}"


@few_and_all
def test_a_misspelt_key_at_any_level_of_any_config_is_named(paths: list[Path], levels_at_least: int) -> None:
    seen: set[str] = set()
    for path in paths:
        for quick in (False, True):
            config = load_config(path, quick=quick)
            prepare(config)
            for key, broken in slips(config.to_dict(), seen, ""):
                assert_refused(broken, key, path)
    assert len(seen) > levels_at_least


@few_and_all
def test_a_misspelt_key_at_any_level_of_a_quick_block_is_named(
    paths: list[Path], levels_at_least: int
) -> None:
    """Of each file's own block: what it says of a component that a later file replaces is not used there."""
    seen: set[str] = set()
    for path in paths:
        layers = read(path)
        for number, layer in enumerate(layers):
            own = layer.file == path
            if "quick" not in layer.values or not (own or layer.file.parent.name == "_base_"):
                continue
            once = path.stem if own and path.stem in ("biggan_cifar", "lcp_cifar", "clip_embedded") else ""
            for key, broken in slips(layer.values["quick"], seen, once):
                slipped = replace(layer, values={**layer.values, "quick": broken})
                found = resolve(path, [*layers[:number], slipped, *layers[number + 1 :]], True, {})
                assert_refused(found.config(), key, path)
    assert len(seen) > levels_at_least // 5


@pytest.fixture
def tiny(config_file: Path) -> Path:
    return config_file


NAMED = dict(type="ToyBorrower")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"default_hooks": dict(loger=dict(interval=5))},
            "default_hooks has no key 'loger' - did you mean 'logger'",
        ),
        (
            {"default_hooks": dict(logger=dict(intervall=5))},
            "default_hooks.logger has no key 'intervall' - did you mean 'interval'",
        ),
        (
            {"default_hooks": dict(checkpoint=dict(interval=5))},
            r"default_hooks.checkpoint has no effect here; instead: hooks=dict\(",
        ),
        (
            {"env_cfg": dict(cudnn_benchmrk=True)},
            "env_cfg has no key 'cudnn_benchmrk' - did you mean 'cudnn_benchmark'",
        ),
        ({"env_cfg": dict(mp_cfg=dict(mp_start_metod="fork"))}, "did you mean 'mp_start_method'"),
        ({"env_cfg": dict(dist_cfg=dict(backend="gloo"))}, "env_cfg.dist_cfg has no effect here"),
        (
            {"log_processor": dict(window_sise=5)},
            "log_processor has no key 'window_sise' - did you mean 'window_size'",
        ),
        ({"log_processor": dict(by_epoch=True)}, "by_epoch=True never takes effect"),
        (
            {"visualizer": dict(type="Visualizer", vis_backend=[])},
            "visualizer has no key 'vis_backend' - did you mean 'vis_backends'",
        ),
        (
            {"visualizer": dict(type="Visualizer", vis_backends=[dict(type="LocalVisBackends")])},
            "did you mean 'LocalVisBackend'",
        ),
        (
            {"optim_wrapper.generator.clip_grad": dict(max_nrm=1)},
            "clip_grad has no key 'max_nrm' - did you mean 'max_norm'",
        ),
        (
            {"optim_wrapper.generator.lr_mult": dict(generatr=0.1)},
            "lr_mult has no key 'generatr' - did you mean 'generator'",
        ),
        ({"optim_wrapper.generator.clip_gradd": None}, "has no key 'clip_gradd' - did you mean 'clip_grad'"),
        ({"optim_wrapper.generator.optimizer.beta": (0, 0.9)}, "has no key 'beta' - did you mean 'betas'"),
        (
            {"optim_wrapper.generator.optimizer.type": "Adamm"},
            r"optimizer.type='Adamm' is not known - did you mean 'Adam'",
        ),
        (
            {"param_scheduler": [dict(type="LinearLR", start_facto=0.5)]},
            "param_scheduler.0 has no key 'start_facto'.*'start_factor'",
        ),
        ({"param_scheduler": [dict(type="LinaerLR")]}, "'LinaerLR' is not known - did you mean 'LinearLR'"),
        (
            {"model.average": dict(generatr=dict(decay=0.5))},
            "model.average names the network 'generatr'.*did you mean 'generator'",
        ),
        ({"model.average.generator.half_life": 10}, "has no key 'half_life' - did you mean 'half_life_kimg'"),
        ({"model.objectives.adversarial.weight": dict(t=1)}, "weight has no key 't'"),
        (
            {"model.networks.generators": NAMED},
            "model.networks.generators is of no use, .* did you mean 'generator'",
        ),
        (
            {"model.networks.spare": dict(NAMED, uses=dict(othr="generator"))},
            "uses has no key 'othr' - did you mean 'other'",
        ),
        (
            {"model.networks.spare": dict(NAMED, uses=dict(other="generatr"))},
            "'generatr', which does not exist - did you mean 'gener",
        ),
        (
            {"model.networks.generator.weights": dict(stge="x")},
            "weights has no key 'stge' - did you mean 'stage'",
        ),
        ({"model.networks.generator.weights": dict(stage="x")}, "weights.stage='x': there is no such stage"),
        (
            {"model.players.generatr": ["generator"]},
            "model.players.generatr never moves: no phase names it - did you mean 'generator'",
        ),
        (
            {"model.players.generator": "generator"},
            r"model.players.generator='generator' must be a list of networks",
        ),
        (
            {"hooks.jurnal": dict(keep=5)},
            "hooks.jurnal overrides keep of what is not there - did you mean 'journal'",
        ),
        ({"hooks.journals": None}, "hooks.journals=None removes nothing - did you mean 'journal'"),
        (
            {"train_dataloader.dataset.split": dict(labeled_per_class=5)},
            "split has no key 'labeled_per_class'.*'labelled_per_class'",
        ),
        (
            {"train_dataloader.sampler": dict(seed=5)},
            "train_dataloader.sampler.seed is filled in by the toolbox",
        ),
        ({"stages": ["lables"], "before": dict(labels={})}, "stages names 'lables' - did you mean 'labels'"),
        ({"stages": ["labels", "labels"], "before": dict(labels={})}, "names one of them twice"),
        ({"before": dict(labels=dict(quick={}))}, "before.labels.quick has no effect"),
        (
            {"evaluation": dict(real=dict(type="EmbeddedFashion", spilt="test"))},
            "no argument 'spilt' - did you mean 'split'",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_the_shipped_configs_do_not_use(tiny: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ERRORS, match=message):
        prepare(load_config(tiny, options=options))


def test_the_wrapper_of_one_player_alone_may_have_a_type(tiny: Path) -> None:
    options = {"optim_wrapper.generator.type": "OptimWrapper"}
    assert prepare(load_config(tiny, options=options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_cfg.max_iters": "many"}, "train_cfg.max_iters='many' must be a whole number, not a str"),
        (
            {"train_dataloader.batch_size": "8"},
            "train_dataloader.batch_size='8' must be a whole number, not a str",
        ),
        (
            {"model.networks.generator.latent_dim": 4.5},
            "latent_dim=4.5: ToyGenerator expects a whole number, not a float",
        ),
        (
            {"model.networks.generator.norm": "yes"},
            "norm='yes': ToyGenerator expects True or False, not a str",
        ),
        (
            {"optim_wrapper.generator.optimizer.lr": "1e-3"},
            "optimizer.lr='1e-3': Adam expects a number, not a str",
        ),
        ({"model.phases": [dict(player="generator", every="2")]}, "every='2': Phase expects a whole number"),
        ({"model.objectives.adversarial.weight": "1"}, "weight='1' must be a number"),
        ({"hooks.journal.keep": "5"}, "keep='5': Journal expects a whole number"),
        ({"seed": "one"}, "seed='one' must be a whole number"),
        ({"model.log_every": True}, "log_every=True: Game expects a whole number"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_value_of_the_wrong_type_is_named(tiny: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare(load_config(tiny, options=options))


def with_stage(weights: dict[str, str]) -> dict[str, Any]:
    stage = dict(
        model=dict(
            type="Game",
            networks=dict(classifier=dict(type="SmallConvNet")),
            players=dict(classifier=["classifier"]),
            phases=[dict(player="classifier")],
            objectives=dict(labels=dict(type="CrossEntropy")),
        ),
        optim_wrapper=dict(classifier=dict(optimizer=dict(type="SGD", lr=0.1))),
    )
    return {"stages": ["labels"], "before": dict(labels=stage), "model.networks.generator.weights": weights}


MEASURED = dict(real=dict(type="EmbeddedFashion"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"evaluation": dict(MEASURED, bn="btach")},
            "evaluation.bn='btach' must be one of .* did you mean 'batch'",
        ),
        ({"evaluation": dict(MEASURED, n_fake=0)}, "evaluation.n_fake=0 must be 1 or more"),
        ({"evaluation": dict(MEASURED, batch_size=0)}, "evaluation.batch_size=0 must be 1 or more"),
        ({"evaluation": dict(MEASURED, extractor="toy")}, "evaluation.extractor='toy' must be a dict"),
        ({"evaluation": True}, "evaluation=True must be a dict"),
        ({"compile": "yes"}, "compile='yes' must be True, False"),
        ({"compile": dict(bakcend="eager")}, "compile has no key 'bakcend' - did you mean 'backend'"),
        ({"compile": dict(backend="egaer")}, "compile.backend='egaer' is not known - did you mean 'eager'"),
        (
            {"train_cfg.type": "IterBasedTrainLoop"},
            "train_cfg.type='IterBasedTrainLoop': a game is played by GameLoop",
        ),
        ({"train_dataloader.batch_size": 0}, "train_dataloader.batch_size=0 must be 1 or more"),
        ({"train_dataloader.num_workers": -1}, "train_dataloader.num_workers=-1 must be 0 or more"),
        ({"threads": -3}, "threads=-3 must be 0 or more"),
        ({"load_from": "/nowhere.pth"}, "load_from='/nowhere.pth' does not exist"),
        ({"work_dir": 5}, "work_dir=5 must be a string"),
        ({"model.log_every": 0}, "model.log_every=0 must be 1 or more"),
        ({"model.seed": 3}, "model.seed=3: the seed is the whole run's"),
        (
            {"model.generator": "genrator"},
            "model.generator names the network 'genrator'.* did you mean 'generator'",
        ),
        (
            {"model.augment": "DiffAugment"},
            "model.augment='DiffAugment': Game expects a dict or None, not a str",
        ),
        (
            {"model.conditioner": "ClassConditions"},
            "model.conditioner='ClassConditions': Game expects a dict or None",
        ),
        ({"model.phases": ["generator"]}, "model.phases.0='generator' must be a dict"),
        ({"model.objectives.adversarial": "Hinge"}, "model.objectives.adversarial='Hinge' must be a dict"),
        ({"hooks.journal": False}, "hooks.journal=False must be a dict"),
        (
            {"optim_wrapper.generator.clip_grad": dict(max_norm="1")},
            "clip_grad.max_norm='1' must be a number",
        ),
        ({"optim_wrapper.generator.lr_mult": dict(generator="x")}, "lr_mult.generator='x' must be a number"),
        (
            with_stage(dict(stage="labels", network="clasifier")),
            "names the network 'clasifier'.* did you mean 'classifier'",
        ),
        (
            with_stage(dict(stage="labels")),
            "names the network 'generator', which does not exist.*networks: classifier",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_cannot_be_used_is_found_before_any_time_is_spent(
    tiny: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ERRORS, match=message):
        prepare(load_config(tiny, options=options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hooks.checkpoints.interval": 0}, "interval=0 must be a whole number of 1 or more"),
        ({"hooks.checkpoints.keep": -1}, "keep=-1"),
        (
            {"hooks.samples": dict(type="SampleGrid", interval=0)},
            "interval=0 must be a whole number of 1 or more",
        ),
        ({"model.branches": []}, "branches=.* must name at least one image field"),
        (
            {"train_dataloader.dataset.transforms": ["HorizontalFlip"]},
            r"'HorizontalFlip' must be dict\(type=...\)",
        ),
        ({"train_dataloader.drop_last": "no"}, "train_dataloader: drop_last should be a boolean"),
        ({"optim_wrapper.generator.optimizer.betas": [0.5]}, "optim_wrapper.generator"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_only_building_finds_is_found_by_a_dry_run(
    tiny: Path, options: dict[str, Any], message: str
) -> None:
    from toolbox.training.explain.summary import summary

    with pytest.raises(ERRORS, match=message):
        summary(load_config(tiny, options=options), memory=False)
