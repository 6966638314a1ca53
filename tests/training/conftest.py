"""What the test modules of this folder share: toy_games.py on the path, and a tiny run on embedded data."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))
import killing  # noqa: E402

CONFIG = """
plugins = [{plugin!r}]
threads = 1
model = dict(
    type='Game', log_every=1,
    networks=dict(
        generator=dict(type='ToyGenerator', latent_dim=4, image_size=8, n_conditions=10, norm=True),
        discriminator=dict(type='ToyDiscriminator', image_size=8)),
    players=dict(discriminator=['discriminator'], generator=['generator']),
    phases=[dict(player='discriminator', repeat=2), dict(player='generator')],
    conditioner=dict(type='ClassConditions', class_names='data:classes'),
    objectives=dict(adversarial=dict(type='HingeAdversarial')),
    augment=dict(type='DiffAugment', policy='translation'),
    average=dict(generator=dict(decay=0.5)))
train_dataloader = dict(
    batch_size=8,
    dataset=dict(type='Stream', source=dict(type='EmbeddedFashion', image_size=8), transforms=[dict(type='HorizontalFlip')]))
optim_wrapper = dict(
    discriminator=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0, 0.99))),
    generator=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0, 0.99))))
param_scheduler = [dict(type='LinearLR', start_factor=0.5, begin=0, end=4, by_epoch=False)]
train_cfg = dict(max_iters=5)
hooks = dict(checkpoints=dict(type='Checkpoints', interval=3, keep=0), journal=dict(type='Journal'))
"""


@pytest.fixture(scope="session")
def fork_server() -> Iterator[killing.ForkServer]:
    """Starts training processes within milliseconds."""
    server = killing.ForkServer()
    yield server
    server.close()


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """A config of five iterations on 8-pixel images."""
    file = tmp_path / "tiny.py"
    file.write_text(CONFIG.format(plugin=str(FOLDER / "toy_games.py")))
    return file


@pytest.fixture
def trained(config_file: Path, tmp_path: Path) -> Callable[..., Path]:
    """Trains the tiny config: ``trained('name', resume=True, options={...})`` gives the run's folder."""
    from toolbox.jobs import train

    def run(name: str = "run", **arguments: Any) -> Path:
        return train(config_file, work_dir=tmp_path / name, evaluate=False, report=False, **arguments)

    return run
