"""What the command line says of a whole run beside its config: ``--data``, ``--from``, ``--log``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolbox.catalog import near_miss
from toolbox.config import ConfigError
from toolbox.data.base import DataError, ImageSet
from toolbox.data.given import GivenData, look_at
from toolbox.data.relabelled import MissingClassError
from toolbox.data.split import draw_split
from toolbox.plugins import host
from toolbox.registry import accepted, build, check
from toolbox.runs.terminal import say
from toolbox.training.checkpoints import CheckpointError
from toolbox.training.pretrained import OF_THE_GAME, described
from toolbox.training.run.data_values import fill_from_data
from toolbox.weights.errors import WeightsError

if TYPE_CHECKING:
    from mmengine import Config

_OF_CLASSES = ("data:classes", "data:n_classes", "data:n_conditions")
_SPLIT = dict(labelled_fraction=0.1, seed=0)  # as configs/lcp_folder.py
_LOGS = {"tensorboard": "TensorboardVisBackend", "wandb": "WandbVisBackend"}
Options = Mapping[str, Any]


# --data


def use_data(config: Config, path: str | Path) -> None:
    """Train and measure on a folder or zip: its readers take the places of the config's data sets.

    Sizes are those of the config's networks. A split that does not fit becomes that of ``lcp_folder.py``.

    Args:
        config: loaded, changed in place.
        path: see :func:`toolbox.data.given.look_at`.

    Raises:
        DataError: for a path that holds nothing of use, broken images, or a class of fewer images than
            clusters.
        ConfigError: for a config that needs more than is there (classes), or reads no images.
    """
    dataset = (config.get("train_dataloader") or {}).get("dataset") or {}
    if not dataset:
        raise ConfigError("--data: this config trains without images (train_dataloader.dataset=None)")
    if "source" not in dataset:
        raise ConfigError(
            f"--data: {dataset.get('type', 'the training data')} of this config has no source that a folder "
            "or zip could replace; name its data with --cfg-options"
        )
    found = look_at(path, masks=bool(dataset.get("masks")))
    _check_classes(config, found)
    size = _image_size(config)
    train, test = _sized(found.train, size), _sized(found.test, size)
    source = build(train, "dataset", "--data")
    for own in [config, *filter(None, (config.get("before") or {}).values())]:
        _replace(own, train, source, is_stage=own is not config)
    say(f"--data: {source.title} takes the place of every data set of the config")
    if config.get("evaluation"):
        config.evaluation["real"], config.evaluation["test"] = train, test  # update() would merge
    _replace_of_hooks(config, test)


def _check_classes(config: Config, found: GivenData) -> None:
    if found.classes or not _inside(config.model, _OF_CLASSES):
        return
    raise ConfigError(
        f"--data {found.path}: this config is conditional and needs classes: a folder of images for each "
        "class, or a zip whose dataset.json has labels. Or take an unconditional config, such as "
        "toolbox/stylegan2_ada_auto"
    )


def _inside(value: Any, words: tuple[str, ...]) -> bool:
    if isinstance(value, Mapping):
        return any(_inside(inner, words) for inner in value.values())
    if isinstance(value, (list, tuple)):
        return any(_inside(inner, words) for inner in value)
    return isinstance(value, str) and value in words


def _image_size(config: Config) -> int | None:
    """Of the generator; of the first network that has one; else that of the config's data; None = theirs."""
    networks = {name: own for name, own in config.model["networks"].items() if own is not None}
    first = config.model.get("generator", "generator")
    for name in sorted(networks, key=lambda name: name != first):
        size = _argument(networks[name], "image_size")
        if isinstance(size, int):
            return size
    size = config.train_dataloader.dataset.source.get("image_size")
    return int(size) if isinstance(size, int) else None


def _argument(component: Mapping[str, Any], name: str) -> Any:
    """An argument that a config gives, or its default."""
    if name in component or "type" not in component:
        return component.get(name)
    parameter = (accepted(check({"type": component["type"]})) or {}).get(name)
    return None if parameter is None else parameter.default


def _sized(data: Mapping[str, Any] | None, size: int | None) -> dict[str, Any] | None:
    if data is None:
        return None
    return {**data, "image_size": size} if size else dict(data)


def _replace(own: Any, train: Any, source: ImageSet, is_stage: bool) -> None:
    """The training data of a game, and its split if that does not fit them."""
    dataset = (own.get("train_dataloader") or {}).get("dataset")
    if not dataset:
        return
    if not is_stage or "source" in dataset:
        dataset.source = train
    split = dataset.get("split")
    if split:
        dataset.split = _fitting(split, source)


def _fitting(split: Mapping[str, Any], source: ImageSet) -> dict[str, Any]:
    options = {key: value for key, value in split.items() if key != "file"}
    try:
        draw_split(source, **options)
    except (MissingClassError, DataError) as error:
        other = {**_SPLIT, "seed": options.get("seed", 0)}
        say(f"{error}: {other['labelled_fraction']:.0%} of each class's images keep their labels instead")
        return other
    return dict(split)


def _replace_of_hooks(config: Config, test: Any) -> None:
    """Hooks with data of their own measure on the test part; those without one are left out."""
    for name, hook in (config.get("hooks") or {}).items():
        if hook is not None and isinstance(hook.get("data"), Mapping):
            if test is None:
                say(f"hooks.{name} is left out: the data have no test part")
                config.hooks[name] = None
            else:
                hook.data = test


# --from


def start_from(config: Config, file: str, options: Options | None = None) -> None:
    """Fine-tune what a file holds: its generator and discriminator, architecture and weights.

    A network that the config describes as it does the generator, such as its frozen source, starts there too,
    in earlier stages as well. A discriminator that the file does not hold stays the config's, at the size of
    the file's images. All else is the config's.

    Args:
        config: loaded, changed in place.
        file: whatever ``weights=`` may be.
        options: of the command line: what they say of these networks goes before what the file says.

    Raises:
        ConfigError: for a config without a generator, or a conditional one with an unconditional file (or
            the other way round).
        CheckpointError, WeightsError: for a file that does not hold a generator.
    """
    networks = config.model["networks"]
    name = config.model.get("generator", "generator")
    if networks.get(name) is None:
        raise ConfigError(f"--from {file}: this config has no generator that could start from it")
    found = described(file, name, "generator")
    _check_conditions(file, found, networks[name])
    plain = _plain(networks[name])
    for place, there in _networks_of_games(config):
        for own in _described_as(plain, there):
            there[own] = _started(there[own], found, file, _of_network(options, own, place))
    for other in _discriminators(networks):
        judge = _described_if_held(file, other)
        if judge is not None:
            networks[other] = _started(networks[other], judge, file, _of_network(options, other))
        elif isinstance(_argument(networks[other], "image_size"), int) and "image_size" in found:
            networks[other]["image_size"] = found["image_size"]


def check_start(config: Config, file: str) -> None:
    """Raise ConfigError where the data have another size, or another number of classes, than the file."""
    stream = build(config.train_dataloader["dataset"], "dataset", "train_dataloader.dataset")
    generator = config.model["networks"][config.model.get("generator", "generator")]
    size = _argument(generator, "image_size")
    source: Any = getattr(stream, "source", None)
    if source is not None and isinstance(size, int) and source.image_size != size:
        raise ConfigError(
            f"--from {file}: it makes images of {size} pixels, the data have {source.image_size}: set "
            f"train_dataloader.dataset.source.image_size={size}, or name a folder with --data"
        )
    conditions = generator.get("n_conditions") or 0
    needed = {"conditioner": config.model.get("conditioner"), "n": "data:n_conditions"}
    n = fill_from_data(needed, stream)["n"]
    if conditions and conditions != n:
        raise ConfigError(
            f"--from {file}: it knows {conditions} classes, the data and the config ask for {n}: take data "
            "with as many, or a file of an unconditional generator with an unconditional config"
        )


def _check_conditions(file: str, found: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    has, wants = bool(found.get("n_conditions")), bool(own.get("n_conditions"))
    if has == wants:
        return
    words = {True: "conditional", False: "unconditional"}
    raise ConfigError(
        f"--from {file}: its generator is {words[has]}, this config is {words[wants]}: take a config that is "
        f"{words[has]} too"
    )


def _started(own: Mapping[str, Any], found: Options, file: str, said: Options) -> dict[str, Any]:
    kept = {key: own[key] for key in OF_THE_GAME if key in own and key != "weights"}
    return {**kept, **found, **said, "weights": file}


def _networks_of_games(config: Config) -> Iterator[tuple[str, Any]]:
    """(prefix of the dotted key, networks) of the run's game, and of each of its stages."""
    yield "", config.model["networks"]
    for name, own in (config.get("before") or {}).items():
        if own is not None:
            yield f"before.{name}.", own["model"]["networks"]


def _plain(network: Mapping[str, Any]) -> dict[str, Any]:
    return {argument: value for argument, value in network.items() if argument not in OF_THE_GAME}


def _described_as(plain: Mapping[str, Any], networks: Mapping[str, Any]) -> list[str]:
    """Networks of this type and arguments, which may move or not."""
    return [name for name, own in networks.items() if own is not None and _plain(own) == plain]


def _of_network(options: Options | None, name: str, place: str = "") -> dict[str, Any]:
    start = f"{place}model.networks.{name}."
    return {key[len(start) :]: value for key, value in (options or {}).items() if key.startswith(start)}


def _discriminators(networks: Mapping[str, Any]) -> list[str]:
    catalog = host().catalog
    kinds = {name: str((own or {}).get("type")) for name, own in networks.items()}
    return [n for n, kind in kinds.items() if kind in catalog and catalog.find(kind).kind == "discriminator"]


def _described_if_held(file: str, name: str) -> dict[str, Any] | None:
    try:
        return described(file, name, "discriminator")
    except (WeightsError, CheckpointError):
        return None


# --log


def add_logs(config: Config, names: Sequence[str]) -> None:
    """Name the back ends of TensorBoard or W&B in the config's ``visualizer``, beside those that it names.

    Raises:
        ConfigError: for another name, with the near miss.
    """
    settings = dict(config.get("visualizer") or {})
    backends = list(settings.get("vis_backends") or [])
    for name in names:
        if name not in _LOGS:
            raise ConfigError(f"--log {name}: it is one of {', '.join(_LOGS)}{near_miss(name, _LOGS)}")
        if all(backend.get("type") != _LOGS[name] for backend in backends):
            backends.append(dict(type=_LOGS[name]))
    if names:
        config.visualizer = {**settings, "vis_backends": backends}
