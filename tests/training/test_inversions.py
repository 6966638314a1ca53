"""Latents of real images: inverted once, resumably, drawn as a function of the rng."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pairs import run_pair
from smooth_games import largest_difference
from torch import Tensor, nn

from tests.models.diffae_filled import SMALL, filled
from toolbox import load_config
from toolbox.data.base import to_tensor
from toolbox.data.drawn import DrawnPortraits
from toolbox.pipeline import train
from toolbox.registry import build
from toolbox.training.explain.iteration import explain
from toolbox.training.game.inversions import Inverted
from toolbox.training.game.phases import PlanError

IMAGES = dict(type="DrawnPortraits", image_size=8, images=6)


class StandIn:
    """What the latents ask of a game."""

    def __init__(self, network: nn.Module, player: str | None = None) -> None:
        self.networks, self.player = network, player

    def network(self, name: str) -> nn.Module:
        return self.networks

    def player_of(self, name: str) -> str | None:
        return self.player


def latents(folder: Path, **arguments: Any) -> Inverted:
    made = dict(type="Inverted", images=IMAGES, n=5, steps=3, batch_size=2, cache_dir=str(folder))
    found: Inverted = build(made | arguments, "latents")
    return found


def test_rows_are_drawn_from_the_inverted_images(tmp_path: Path) -> None:
    """A function of the rng; without preparation, an error."""
    network, bank = filled(**SMALL), latents(tmp_path)
    with pytest.raises(ValueError, match="prepare the game first"):
        bank.draw(2, torch.Generator())
    bank.prepare(StandIn(network))
    source = DrawnPortraits(image_size=8, images=6)
    images = torch.stack([to_tensor(source.image(i)) for i in range(5)])
    expected = torch.cat([network.invert(some, 3) for some in images.split(2)])
    rows = torch.randint(5, (20,), generator=torch.Generator().manual_seed(3))
    assert torch.equal(bank.draw(20, torch.Generator().manual_seed(3)), expected[rows])
    assert set(rows.tolist()) == {0, 1, 2, 3, 4} == set(range(len(bank)))


def test_what_was_inverted_is_not_inverted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what is whole, nor the batches of a run that was killed."""
    network, calls = filled(**SMALL), 0
    invert = network.invert

    def counted(images: Tensor, steps: int | None = None) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return invert(images, steps)

    monkeypatch.setattr(network, "invert", counted)
    with pytest.raises(KeyboardInterrupt):
        latents(tmp_path).prepare(StandIn(network))
    assert len(list(tmp_path.glob("*.parts/*.npy"))) == 1 and not list(tmp_path.glob("*.npy"))
    for _ in range(2):  # the second finds the file
        bank = latents(tmp_path)
        bank.prepare(StandIn(network))
        assert calls == 4 and len(bank) == 5
    assert [path.suffix for path in sorted(tmp_path.iterdir())] == [".json", ".npy"]


def test_a_resumed_run_needs_the_same_latents(tmp_path: Path) -> None:
    """The checkpoint knows what they depend on."""
    network, bank = filled(**SMALL), latents(tmp_path)
    bank.prepare(StandIn(network))
    resumed = latents(tmp_path)
    resumed.load_state_dict(bank.state_dict())
    resumed.prepare(StandIn(network))
    with torch.no_grad():
        network.out[2].bias += 1
    with pytest.raises(PlanError, match="begun with latents of other images, weights or steps"):
        resumed.prepare(StandIn(network))


def test_a_rehearsal_stores_nothing(tmp_path: Path) -> None:
    bank = latents(tmp_path)
    bank.prepare(StandIn(filled(**SMALL)), trial=True)
    assert len(bank) == 2 and not list(tmp_path.iterdir()) and not bank.digest.any()


def test_bad_input(tmp_path: Path) -> None:
    network = filled(**SMALL)
    with pytest.raises(PlanError, match=r"network='source' is a Linear, which cannot invert images"):
        latents(tmp_path).prepare(StandIn(nn.Linear(2, 2)))
    with pytest.raises(PlanError, match=r"network='source' moves.*name a frozen copy"):
        latents(tmp_path).prepare(StandIn(network, "generator"))
    with pytest.raises(PlanError, match=r"n=9000: the data set has 6 images"):
        latents(tmp_path, n=9000).prepare(StandIn(network))
    with pytest.raises(PlanError, match=r"model.latents: images of \(3, 16, 16\) cannot be encoded"):
        latents(tmp_path, images=IMAGES | dict(image_size=16)).prepare(StandIn(network))
    bank = latents(tmp_path)
    bank.prepare(StandIn(network))
    next(tmp_path.glob("*.npy")).write_bytes(b"torn")
    with pytest.raises(PlanError, match=r"cannot be read .*: delete it, it is made again"):
        latents(tmp_path).prepare(StandIn(network))


# -- in a game -----------------------------------------------------------------------------------------------

CONFIG = """
plugins = [{plugin!r}]
threads = 1
_net = dict(type='DiffAE', steps=2, **{small!r})
model = dict(
    type='Game', log_every=1,
    networks=dict(source=dict(_net), generator=dict(_net, freeze_layers=['encoder.'])),
    latents=dict(type='Inverted', images={images!r}, steps=3, batch_size=2, cache_dir={cache!r}),
    players=dict(generator=['generator']),
    phases=[dict(player='generator')],
    objectives=dict(darken=dict(type='Darken')))
train_dataloader = dict(batch_size=4, dataset=None)
optim_wrapper = dict(generator=dict(optimizer=dict(type='SGD', lr=0.1)))
train_cfg = dict(max_iters=4)
hooks = dict(checkpoints=dict(type='Checkpoints', interval=2, keep=0), journal=dict(type='Journal'))
"""


def write_config(folder: Path) -> Path:
    small = {key: value for key, value in SMALL.items() if "steps" not in key}
    plugin, cache = Path(__file__).with_name("toy_adaptation.py"), folder / "cache"
    text = CONFIG.format(plugin=str(plugin), small=small, images=IMAGES, cache=str(cache))
    (folder / "config.py").write_text(text)
    return folder / "config.py"


def state_of(folder: Path) -> dict[str, Any]:
    contents: dict[str, Any] = torch.load(folder / "iter_4.pth", weights_only=True)
    return contents["state_dict"]


def play_it(config: str, folder: str) -> None:
    train(config, work_dir=folder, report=False)


def test_a_game_is_resumed_with_its_latents(tmp_path: Path) -> None:
    """Bit for bit, with one file for all; they are found again where it was deleted; `explain` names them."""
    config = write_config(tmp_path)
    whole = train(config, work_dir=tmp_path / "whole", report=False)
    cut = tmp_path / "cut"
    train(config, work_dir=cut, options={"train_cfg.max_iters": 2}, report=False)
    (file,) = (tmp_path / "cache").glob("*.npy")
    file.unlink()
    train(config, work_dir=cut, resume=True, report=False)
    assert [found.name for found in (tmp_path / "cache").glob("*.npy")] == [file.name]
    one, other = state_of(whole), state_of(cut)
    assert one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
    assert "latents.digest" in one and not any(key.startswith("networks.source") for key in one)
    assert "latents: Inverted: Latents of the images of a data set" in explain(load_config(config))


@pytest.mark.slow
def test_two_processes_share_the_work(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    run_pair(play_it, str(config), str(tmp_path / "pair"))
    (file,) = (tmp_path / "cache").glob("*.npy")
    shared = file.read_bytes()
    file.unlink()
    alone = train(config, work_dir=tmp_path / "alone", report=False)
    assert file.read_bytes() == shared
    assert largest_difference(state_of(alone), state_of(tmp_path / "pair")) < 1e-5
