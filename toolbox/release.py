"""Loading what was trained: a run folder or a checkpoint, as a generator or as generator and conditioner together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolbox.interfaces import Generator
from toolbox.training.checkpoints import CheckpointError, latest_checkpoint, load_whole, read_checkpoint


def load_run(path: str | Path, config: Any = None, seed: int = 0, bn: str = "running", device: str = "cpu") -> Any:
    """A trained game as a Sampler.

    Args:
        path: a run's folder (its newest checkpoint), or a checkpoint file.
        config: the config; default the ``config.py`` beside the checkpoint.
        seed, bn: of the Sampler.
        device: where to put it.

    Raises:
        CheckpointError: when there is no checkpoint, or it does not fit the config.
    """
    from toolbox.training.sampling import Sampler

    game = load_game(path, config).to(device)
    return Sampler(game, seed=seed, bn=bn)


def load_game(path: str | Path, config: Any = None) -> Any:
    """A trained Game, in eval mode (see :func:`load_run`)."""
    from toolbox.config import load_config
    from toolbox.training.building import build_game
    from toolbox.training.saving import check_frozen, frozen_state
    from toolbox.training.terminal import say

    path = Path(path)
    checkpoint = latest_checkpoint(path, say) if path.is_dir() else path
    if checkpoint is None:
        raise CheckpointError(f"{path} holds no checkpoint (iter_N.pth); is it a run's folder?")
    contents = read_checkpoint(checkpoint)
    if config is None:
        config = load_config(_config_beside(checkpoint))
    game = build_game(config, deferred=True)
    check_frozen(game, contents.get("frozen", {}))
    state = {**frozen_state(game), **contents["state_dict"]}
    load_whole(game, state, f"checkpoint {checkpoint}")
    return game.eval()


def load_generator(path: str | Path, config: Any = None) -> Generator:
    """The generator of a run (its averaged copy where there is one), ready for ``generator.sample(16, seed=0)``."""
    game = load_game(path, config)
    return game.network(game.generator, averaged=True)


def _config_beside(checkpoint: Path) -> Path:
    beside = checkpoint.parent / "config.py"
    if not beside.is_file():
        raise CheckpointError(f"{checkpoint} has no config.py beside it: name the config (tools/test.py CONFIG CHECKPOINT)")
    return beside
