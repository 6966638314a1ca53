"""The arrows of ``toolbox klish segment``: images -> generator -> clusters -> pairs -> segmenter -> labels.

Each takes what the one before has left in the run's folder, and goes on where it was interrupted:

gan/          a training run; not where a generator is at hand
clusters/     a clustering run
pairs/        images of the generator with their clusters as masks
segmenter/    a training run: the segmenter of clusters
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from toolbox.config import ConfigError, kept_file
from toolbox.interfaces import Segmenter
from toolbox.runs.terminal import say
from toolbox.weights.fingerprint import fingerprint
from toolbox_klish.pairs.make import make_pairs
from toolbox_klish.runs.choices import Choices
from toolbox_klish.runs.fitting import fit
from toolbox_klish.runs.run import ClusterRun, build_generator
from toolbox_klish.ufgs.settings import pair_settings
from toolbox_klish.ufgs.state import State


def trained_generator(config: Any, data: Path | None, folder: Path, state: State) -> dict[str, Any]:
    """The ``generator`` of clustering configs: the one at hand, or one that is trained on the images.

    Raises:
        ConfigError: when one is to be trained, and there are no images.
    """
    if config.generator is not None:
        return _absolute(config.generator.to_dict())
    if data is None:
        raise ConfigError(
            "there is no generator at hand: name the folder of images that one is to be trained on, or the "
            "generator with --generator"
        )
    from toolbox.pipeline import train

    own, work = config.gan, folder / "gan"
    source = dict(run=str(work.absolute()))
    settings = dict(config=own.config, options=dict(own.options), quick=own.quick, data=str(data.absolute()))
    if state.begin("gan", settings) is None:
        say(f"generator: {own.config} is trained on {data}")
        train(
            own.config,
            work_dir=work,
            quick=own.quick,
            resume=kept_file(work) is not None,
            options=dict(own.options),
            data=data,
            device=config.device,
        )
        state.finish("gan", {})
    return source


def fitted_clusters(config: Any, source: Mapping[str, Any] | None, folder: Path, state: State) -> ClusterRun:
    """The clusters of the generator's features; ``source`` None: those at hand decide.

    Raises:
        ConfigError: for clusters at hand of another generator.
    """
    own = config.clusters
    if own.run is not None:
        run = ClusterRun.open(own.run, config.device)
        if source is not None:
            _check_same(run, source)
        return run
    assert source is not None
    work = folder / "clusters"
    settings = {key: own[key] for key in ("config", "clusterer", "number", "fit", "quick")}
    settings |= dict(generator=dict(source), options=dict(own.options))
    if state.begin("clusters", settings) is None:
        say("clusters: the generator's features are clustered")
        choices = Choices(clusterers=[own.clusterer], seeds=[own.fit], final=own.number, device=config.device)
        named = dict(own.options)
        if own.config is not None:
            named["generator"] = dict(source)
        fit(
            own.config or _path_of(source),
            work_dir=work,
            quick=own.quick,
            resume=kept_file(work) is not None,
            options=named,
            choices=choices,
        )
        state.finish("clusters", {})
    return ClusterRun.open(work, config.device)


def made_pairs(config: Any, run: ClusterRun, folder: Path, state: State) -> Path:
    """Images of the generator with their clusters as masks."""
    own, work = config.clusters, folder / "pairs"
    given = dict(clusterer=own.clusterer, clusters=own.number, fit=own.fit)
    names = None if run.names is None else {name: list(of) for name, of in run.names.groups.items()}
    settings = dict(run=str(run.folder.absolute()), names=names, **given, pairs=dict(config.pairs))
    if state.begin("pairs", settings) is None:
        say("pairs: images of the generator, with their clusters as masks")
        make_pairs(run, work, pair_settings(config), resume=True, **given)
        state.finish("pairs", {})
    return work


def trained_segmenter(config: Any, pairs: Path, folder: Path, state: State) -> Segmenter:
    """The segmenter of clusters, in eval mode, on the config's device."""
    from toolbox.loading import load_game
    from toolbox.pipeline import train

    work = folder / "segmenter"
    own = training_config(config, pairs)
    if state.begin("segmenter", own.to_dict()) is None:
        say("segmenter: it is trained on the pairs")
        own.device = config.device
        train(own, work_dir=work, resume=kept_file(work) is not None, report=False)
        state.finish("segmenter", {})
    game: Any = load_game(work)
    segmenter: Segmenter = game.network("segmenter", averaged=True)
    return segmenter.to(device_of(config)).eval()


def training_config(config: Any, pairs: Path) -> Any:
    """The segmenter's training config with its data in place."""
    from mmengine import Config

    own = Config(config.segmenter.to_dict(), format_python_code=False)
    own.setdefault("default_scope", "toolbox")
    own.train_dataloader.dataset.source.root = str(pairs.absolute())
    return own


def device_of(config: Any) -> torch.device:
    """Where networks go."""
    from toolbox_klish.checks import usable_device

    return torch.device(usable_device(config.device))


def _absolute(source: dict[str, Any]) -> dict[str, Any]:
    """Paths as they are found from anywhere."""
    from toolbox.weights.sources import is_elsewhere

    for key in ("weights", "run"):
        if isinstance(source.get(key), str) and not is_elsewhere(source[key]):
            source[key] = str(Path(source[key]).absolute())
    return source


def _path_of(source: Mapping[str, Any]) -> str:
    return str(source.get("weights") or source["run"])


def _check_same(run: ClusterRun, source: Mapping[str, Any]) -> None:
    """Raise a ConfigError unless clusters at hand are of this generator."""
    known = run.record.get("generator", {}).get("fingerprint")
    own = fingerprint(build_generator(source))
    if known is not None and known != own:
        raise ConfigError(
            f"{run.folder} has clustered another generator (weights {known[:12]}) than the one that is named "
            f"(weights {own[:12]}): leave --generator out, and its own is taken"
        )
