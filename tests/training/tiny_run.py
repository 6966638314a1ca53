"""A run of a few iterations on 8-pixel images, a millisecond or two each."""

from __future__ import annotations

from pathlib import Path

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
    dataset=dict(
        type='Stream', source=dict(type='EmbeddedFashion', image_size=8),
        transforms=[dict(type='HorizontalFlip')]))
optim_wrapper = dict(
    discriminator=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0, 0.99))),
    generator=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0, 0.99))))
param_scheduler = [dict(type='LinearLR', start_factor=0.5, begin=0, end=4, by_epoch=False)]
train_cfg = dict(max_iters=5)
hooks = dict(checkpoints=dict(type='Checkpoints', interval=3, keep=0), journal=dict(type='Journal'))
"""


def write_config(file: Path) -> Path:
    """The config, in a file."""
    file.write_text(CONFIG.format(plugin=str(Path(__file__).with_name("toy_games.py"))))
    return file
