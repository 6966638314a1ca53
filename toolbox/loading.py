"""Loading what was trained, here or elsewhere: as a generator, or as generator and conditioner together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from toolbox.catalog import near_miss
from toolbox.interfaces import Generator
from toolbox.training.checkpoints import CheckpointError, latest_checkpoint, read_checkpoint

if TYPE_CHECKING:
    from mmengine import Config

    from toolbox.training.game.game import Game
    from toolbox.training.game.sampler import Sampler
    from toolbox.training.release import ReleasedGame


def load_run(
    path: str | Path, config: Config | None = None, seed: int = 0, bn: str = "running", device: str = "cpu"
) -> Sampler:
    """A trained game as a Sampler.

    Args:
        path: a run's folder (its newest checkpoint), a checkpoint in one, or a release file (safetensors with
            its card).
        config: the config; default the run's own (see :func:`config_of`). A release has its own.
        seed, bn: of the Sampler.
        device: where to put it.

    Raises:
        CheckpointError: when there is no checkpoint, or it does not fit the config.
    """
    from toolbox.training.game.sampler import Sampler

    game = load_game(path, config).to(device)
    return Sampler(game, seed=seed, bn=bn)


def load_sampler(
    path: str | Path,
    seed: int = 0,
    bn: str = "running",
    device: str = "cpu",
    truncation: float = 1.0,
    generator: str | None = None,
) -> Sampler:
    """Whatever images can be drawn from, as a Sampler: what :func:`load_run` and :func:`load_generator` open.

    A generator's file has no conditioner: its classes are drawn uniformly, and called by their numbers.

    Args:
        path: as :func:`load_generator` takes it.
        seed, bn, truncation: of the Sampler.
        device: where to put it.
        generator: name of another of a run's networks that generates, such as 'source'; None = the run's.

    Raises:
        CheckpointError, WeightsError: for what is none of these.
        ValueError: for a truncation where the generator has none, or a network that is not there.
    """
    from toolbox.runs.terminal import say
    from toolbox.training.game.lone import LoneGenerator
    from toolbox.training.game.sampler import Sampler
    from toolbox.weights.sources import local_path

    path = local_path(path, say)
    game = load_game(path) if _holds_game(path) else LoneGenerator(load_generator(path))
    if generator is not None:
        check_network(game, generator, path)
    return Sampler(game.to(device), seed=seed, bn=bn, truncation=truncation, generator=generator)


def check_network(game: Any, name: str, path: str | Path) -> None:
    """Raise ValueError for a network that a run does not have, with those it has."""
    networks = getattr(game, "networks", {})
    if name not in networks:
        known = ", ".join(networks) or "none by name"
        raise ValueError(f"{path} has no network {name!r}{near_miss(name, networks)}; networks: {known}")


def load_game(path: str | Path, config: Config | None = None) -> Game | ReleasedGame:
    """A trained Game in eval mode (see :func:`load_run`); of a release file, what is needed to sample."""
    from toolbox.training.release import is_release, load_release

    return load_release(path) if is_release(path) else _load(Path(path), config)[0]


def export(
    run: str | Path, out: str | Path, config: Config | None = None, licence: str = "", replace: bool = False
) -> Path:
    """Write a run's averaged generator and its conditioner as a release: a safetensors file and its card.

    The card ``NAME.json`` holds config, metrics with their protocol, data, licence, versions and the file's
    sha256.

    Args:
        run: a run's folder (its newest checkpoint), or a checkpoint in one.
        out: NAME.safetensors.
        config: the config; default the run's own (see :func:`config_of`).
        licence: of the weights, in the card.
        replace: write over files that are there.

    Raises:
        CheckpointError: when there is no checkpoint, or the config cannot go into a card.
        WeightsError: when the files cannot be written.
    """
    from toolbox.training.release import write_game

    game, used, checkpoint = _load(Path(run), config)
    return write_game(game, used, checkpoint.parent, out, licence, replace)


def _load(path: Path, config: Config | None) -> tuple[Game, Config, Path]:
    """(game, config, checkpoint's file)."""
    from toolbox.runs.terminal import say
    from toolbox.training.run.prepare import Stage
    from toolbox.training.run.resume import restore

    checkpoint = latest_checkpoint(path, say) if path.is_dir() else path
    if checkpoint is None:
        raise CheckpointError(f"{path} holds no checkpoint (iter_N.pth); is it the folder of a training run?")
    contents = read_checkpoint(checkpoint)
    if config is None:
        config = config_of(path)
    game = Stage(config).build_game(filled_later=True, restored=True)
    restore(game, contents, f"checkpoint {checkpoint}")
    return game.eval(), config, checkpoint


def load_generator(path: str | Path | Mapping[str, Any], config: Config | None = None) -> Generator:
    """A trained generator (its averaged copy where there is one), ready for ``generator.sample(16, seed=0)``.

    Args:
        path: what ``weights=`` may be anywhere: a run's folder, a checkpoint in one, a release, a file of
            published weights in any known layout (see :func:`toolbox.models.from_files.read_network`), a
            plugin's file, or an address (see :func:`toolbox.weights.sources.local_path`). Beside published
            weights nothing is run: a config counts only in a run's folder (see :func:`config_of`).
        config: of a checkpoint outside of its run's folder.

    Raises:
        CheckpointError, WeightsError: for what is none of these, or does not fit.
    """
    from toolbox.models.from_files import read_generator
    from toolbox.runs.terminal import say
    from toolbox.weights.sources import local_path

    path = local_path(path, say)
    if config is None and not _holds_game(path):
        return read_generator(path)
    game = load_game(path, config)
    return cast(Generator, game.network(game.generator, averaged=True))


def _holds_game(path: Path) -> bool:
    """Whether there is more than a generator: a run's folder, a checkpoint of a run, a release."""
    from toolbox.runs.environment import is_of_run
    from toolbox.training.release import is_release

    return path.is_dir() or is_release(path) or is_of_run(path)


def config_of(path: str | Path, options: Mapping[str, Any] | None = None) -> Config:
    """The config of a run, by its folder, or by a checkpoint of its own in it.

    The config of an older run is Python, and is executed, where its folder is named. A file that is no run's
    checkpoint gets none, whatever lies beside it. ``options`` are overrides by dotted key.

    Raises:
        CheckpointError: for such a file, or where there is no config.
    """
    from toolbox.config import kept_file, load_config
    from toolbox.runs.environment import is_of_run

    path = Path(path)
    folder = path if path.is_dir() else path.parent
    beside = kept_file(folder)
    if path.is_dir() or is_of_run(path):
        if beside is not None and beside.suffix == ".py" and not path.is_dir():
            raise CheckpointError(
                f"{beside} would be executed: name the run's folder, {folder}, if you trust it"
            )
        if beside is not None:
            return load_config(beside, options=options)
        raise CheckpointError(
            f"{folder} has no config.json: name the config (toolbox test CONFIG CHECKPOINT)"
        )
    reason = "is no checkpoint of a run (iter_N.pth beside the run's environment.json)"
    if path.suffix == ".safetensors":
        reason = f"has no card ({path.stem}.json) that would make it a release"
    left = "" if beside is None else f", so the {beside.name} beside it was not run"
    raise CheckpointError(
        f"{path} {reason}{left}: name a run's folder, or give the config (toolbox test CONFIG CHECKPOINT); "
        "published weights are opened by toolbox.load_generator(FILE)"
    )
