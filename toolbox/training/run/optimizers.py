"""One optimiser a player."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.optim import OptimWrapperDict
from mmengine.registry import OPTIMIZERS
from torch import nn

from toolbox.catalog import near_miss
from toolbox.registry import REGISTRIES
from toolbox.training.game.phases import PlanError
from toolbox.training.run.optim_wrappers import ScaledOptimizer


class PlayerOptimizers:
    """mmengine's constructor for a Game: ``optim_wrapper = dict(constructor='PlayerOptimizers',
    <player>=dict(...))``.

    Each player's entry is an optimizer wrapper's config: ``dict(optimizer=dict(type='Adam', lr=2e-4, ...))``,
    to which ``lr_mult`` ({network: factor}) may be added.
    """

    def __init__(self, optim_wrapper_cfg: Mapping[str, Any], paramwise_cfg: Any = None) -> None:
        self.configs = {
            name: dict(config) for name, config in optim_wrapper_cfg.items() if config is not None
        }

    def __call__(self, model: nn.Module) -> OptimWrapperDict:
        """Wrappers by player.

        Raises:
            PlanError: when the players of the game and of the config differ.
        """
        game: Any = getattr(model, "module", model)
        for name in set(self.configs) - set(game.players):
            raise PlanError(
                f"optim_wrapper has the player {name!r}{near_miss(name, game.players)}, which the game has "
                "not; "
                f"players: {', '.join(game.players)}"
            )
        for name in set(game.players) - set(self.configs):
            raise PlanError(
                f"optim_wrapper has no entry for the player {name!r}: add "
                f"{name}=dict(optimizer=dict(type='Adam', lr=...))"
            )
        return OptimWrapperDict(
            **{name: self._build(game, name, config) for name, config in sorted(self.configs.items())}
        )

    @staticmethod
    def _build(game: Any, player: str, config: dict[str, Any]) -> Any:
        arguments = dict(config)
        optimizer = dict(arguments.pop("optimizer", {}))
        if not {"type", "lr"} <= set(optimizer):
            raise PlanError(
                f"optim_wrapper.{player} needs optimizer=dict(type='Adam', lr=...), got {optimizer}"
            )
        if "betas" in optimizer:  # torch refuses a mixture such as (0, 0.999)
            optimizer["betas"] = tuple(float(beta) for beta in optimizer["betas"])
        optimizer["params"] = _groups(
            game, player, arguments.pop("lr_mult", None) or {}, float(optimizer["lr"])
        )
        if "accumulative_counts" in arguments:
            raise PlanError(
                f"optim_wrapper.{player}: accumulative_counts has no effect in a game, where a step is a "
                "phase: "
                "give the phase accumulate=..."
            )
        arguments.setdefault("type", "OptimWrapper")
        try:
            built = OPTIMIZERS.build(optimizer)
            if arguments["type"] == "OptimWrapper" and "fp16" in game.precisions(player):
                return ScaledOptimizer(
                    game.device.type, optimizer=built, **{k: v for k, v in arguments.items() if k != "type"}
                )
            return REGISTRIES["optim_wrapper"].build(arguments, default_args=dict(optimizer=built))
        except (
            KeyError,
            IndexError,
            TypeError,
            ValueError,
        ) as error:  # mmengine's, which does not say where in the config it was
            raise PlanError(f"optim_wrapper.{player}: {error.args[0] if error.args else error}") from error


def _groups(game: Any, player: str, factors: Mapping[str, float], rate: float) -> list[dict[str, Any]]:
    for name in factors:
        if name not in game.players[player]:
            raise PlanError(
                f"lr_mult of player {player!r} names {name!r}{near_miss(name, game.players[player])}, "
                f"its networks are {game.players[player]}"
            )
    special = {name: {id(p) for p in game.networks[name].parameters()} for name in factors}
    taken = set().union(*special.values())
    parameters = game.trained_parameters(player)
    groups: list[dict[str, Any]] = [dict(params=[p for p in parameters if id(p) not in taken])]
    groups += [
        dict(params=[p for p in parameters if id(p) in special[name]], lr=rate * factor)
        for name, factor in factors.items()
    ]
    return [group for group in groups if group["params"]]
