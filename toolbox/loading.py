"""Loading what was trained, here or elsewhere: as a generator, or as generator and conditioner together."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

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
        path: a run's folder (its newest checkpoint), a checkpoint file, or a release file (safetensors with
            its card).
        config: the config; default the ``config.py`` beside the checkpoint. A release has its own.
        seed, bn: of the Sampler.
        device: where to put it.

    Raises:
        CheckpointError: when there is no checkpoint, or it does not fit the config.
    """
    from toolbox.training.game.sampler import Sampler

    game = load_game(path, config).to(device)
    return Sampler(game, seed=seed, bn=bn)


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
        run: a run's folder (its newest checkpoint), or a checkpoint file.
        out: NAME.safetensors.
        config: the config; default the one beside the checkpoint.
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
    from toolbox.config import load_config
    from toolbox.runs.terminal import say
    from toolbox.training.run.prepare import Stage
    from toolbox.training.run.resume import restore

    checkpoint = latest_checkpoint(path, say) if path.is_dir() else path
    if checkpoint is None:
        raise CheckpointError(f"{path} holds no checkpoint (iter_N.pth); is it the folder of a training run?")
    contents = read_checkpoint(checkpoint)
    if config is None:
        config = load_config(_config_beside(checkpoint))
    game = Stage(config).build_game(filled_later=True, restored=True)
    restore(game, contents, f"checkpoint {checkpoint}")
    return game.eval(), config, checkpoint


def load_generator(path: str | Path | Mapping[str, Any], config: Config | None = None) -> Generator:
    """A trained generator (its averaged copy where there is one), ready for ``generator.sample(16, seed=0)``.

    Args:
        path: what ``weights=`` may be anywhere: a run's folder, a checkpoint with its ``config.py`` beside
            it, a release, a file of published weights in any known layout (see
            :func:`toolbox.models.from_files.read_network`), a plugin's file, or an address (see
            :func:`toolbox.weights.sources.local_path`).
        config: of a checkpoint without one beside it.

    Raises:
        CheckpointError, WeightsError: for what is none of these, or does not fit.
    """
    from toolbox.models.from_files import read_generator
    from toolbox.runs.terminal import say
    from toolbox.training.release import is_release
    from toolbox.weights.sources import local_path

    path = local_path(path, say)
    with_config = config is not None or (path.parent / "config.py").is_file() or path.match("iter_*.pth")
    if not (path.is_dir() or with_config or is_release(path)):
        return read_generator(path)
    game = load_game(path, config)
    return cast(Generator, game.network(game.generator, averaged=True))


def _config_beside(checkpoint: Path) -> Path:
    beside = checkpoint.parent / "config.py"
    if beside.is_file():
        return beside
    card = ""
    if checkpoint.suffix == ".safetensors":
        card = f", and no card ({checkpoint.stem}.json) that would make it a release"
    raise CheckpointError(
        f"{checkpoint} has no config.py beside it{card}: name the config (tools/test.py CONFIG CHECKPOINT)"
    )
