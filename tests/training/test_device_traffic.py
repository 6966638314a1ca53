"""What an iteration costs beside its arithmetic on a device: copies from the host, and waits for the device.

The meta device stands in for a GPU: it refuses to give away any value (``.item()``, ``nonzero``, a mask of
bools as an index), and copies to it are counted.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data import DataLoader

from toolbox.config import load_config
from toolbox.data.stream import StreamSampler
from toolbox.models.ada import AdaptiveAugment
from toolbox.training.run.prepare import prepare
from toolbox.training.run.trial import few

CONFIGS = Path(__file__).parents[2] / "configs"


class Still(torch.optim.SGD):
    """A fused optimiser, as far as a game can tell; the meta device has none."""

    def __init__(self, parameters: Any) -> None:
        super().__init__(parameters, lr=0.1)
        self.param_groups[0]["fused"] = True

    def step(self, closure: Any = None) -> None:
        assert self.found_inf.device.type == "meta"


class CountMoves(TorchDispatchMode):
    """Counts operations that bring a tensor from the CPU to the meta device."""

    def __init__(self) -> None:
        super().__init__()
        self.moves: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        copies = func.overloadpacket in (torch.ops.aten._to_copy, torch.ops.aten.copy_)
        source = args[1] if func.overloadpacket is torch.ops.aten.copy_ else args[0] if args else None
        from_host = isinstance(source, torch.Tensor) and source.device.type == "cpu"
        if copies and from_host and isinstance(made, torch.Tensor) and made.device.type == "meta":
            self.moves.append(f"{func} {tuple(source.shape)}")
        return made


def played(name: str, folder: Path, iterations: int) -> list[list[str]]:
    """The copies of each iteration of a quick config, played on the meta device."""
    config = load_config(CONFIGS / name, quick=True)
    config.work_dir, config.stages = str(folder), []
    if "classifier" in config.model.networks:
        config.model.networks.classifier.pop("weights")
    config.train_dataloader.batch_size = 8
    stage = prepare(config)[-1]
    game = stage.build_game()
    game.log_every = 1000
    images = few(stage.loader.dataset, 12)
    game.prepare(images)
    game.to("meta")
    if isinstance(game.augment, AdaptiveAugment):
        game.augment._read = (game.augment.p, game.augment.p._version, 0.5)  # it was read when it last moved
    game._now = 1  # the first iteration is logged
    optimizers = OptimWrapperDict(
        **{player: OptimWrapper(Still(game.trained_parameters(player))) for player in game.players}
    )
    loader = DataLoader(images, 8, sampler=StreamSampler(images, 8))
    batches = iter(loader)
    game.train()
    counted = []
    for _ in range(iterations):
        with CountMoves() as counter:
            game.train_step(next(batches), optimizers)
        counted.append(counter.moves)
    return counted


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("biggan_cifar", marks=pytest.mark.slow),
        pytest.param("lcp_cifar", marks=pytest.mark.slow),
        "stylegan2_ada_cifar",
    ],
)
def test_an_iteration_is_one_copy_and_no_wait(name: str, tmp_path: Path) -> None:
    assert [len(moves) for moves in played(name, tmp_path, 2)[1:]] == [1]
