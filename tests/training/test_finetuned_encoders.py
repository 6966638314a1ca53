"""SSA-GAN whose encoders learn beside it: they move by the matching of real images, and by nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from toolbox.config import load_config
from toolbox.training.game.game import Game
from toolbox.training.game.optimizers import PlayerOptimizers

CONFIG = Path(__file__).parents[2] / "configs" / "ssagan_finetune_emoji.py"
ENCODERS = ("text_encoder", "image_encoder")


def played(**changes: Any) -> dict[str, torch.Tensor]:
    """The encoders' weights after an iteration."""
    config = load_config(CONFIG, tell=lambda line: None)
    model = config.model.to_dict() | changes
    model.pop("type")
    for name in ENCODERS:
        model["networks"][name].pop("weights")
    model["networks"]["text_encoder"].update(n_tokens=20)
    game = Game(**model).train()
    rng = torch.Generator().manual_seed(0)
    batch = dict(
        images=torch.randint(256, (4, 3, 32, 32), generator=rng, dtype=torch.uint8),
        text=torch.randint(1, 20, (4, 6), generator=rng),
        labels=torch.arange(4),
    )
    game.conditioner.ids = batch["text"]
    before = state(game)
    optimizers = {name: config.optim_wrapper[name] for name in game.players}
    game.train_step(batch, PlayerOptimizers(optimizers)(game))
    after = state(game)
    assert all(not torch.equal(before[name], after[name]) for name in after if "weight_ih" in name)
    return after


def state(game: Game) -> dict[str, torch.Tensor]:
    weights = {
        f"{name}.{key}": value for name in ENCODERS for key, value in game.network(name).state_dict().items()
    }
    return {key: value.clone() for key, value in weights.items()}


def test_encoders_learn_from_real_images_alone() -> None:
    alone = played(
        players=dict(encoders=list(ENCODERS)),
        phases=[dict(player="encoders")],
        objectives=dict(match=dict(type="DamsmPretraining", gamma1=5.0)),
    )
    beside = played()
    assert all(torch.equal(value, beside[key]) for key, value in alone.items())
