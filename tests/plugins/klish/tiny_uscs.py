"""A GauGAN of a few channels on drawn portraits of 32 pixels."""

from __future__ import annotations

from pathlib import Path

CONFIG = """
threads = 1
seed = 0
model = dict(
    type='Game', log_every=1,
    networks=dict(
        generator=dict(type='SpadeGenerator', n_parts='data:n_parts', image_size=32, latent_dim=4, channels=2,
                       hidden=2, uses=dict(encoder='encoder')),
        discriminator=dict(type='MultiscalePatchDiscriminator', n_parts='data:n_parts', image_size=32,
                           channels=2, layers=2),
        encoder=dict(type='SpadeEncoder', latent_dim=4, image_size=16, channels=2),
        perceptual=dict(type='PortraitMaps')),
    players=dict(generator=['generator', 'encoder'], discriminator=['discriminator']),
    phases=[dict(player='generator'), dict(player='discriminator')],
    objectives=dict(
        real_or_fake=dict(type='MultiscaleHinge'), features=dict(type='FeatureMatching', weight=10.0),
        perceptual=dict(type='PerceptualMatching', weight=10.0), style=dict(type='StyleKL', weight=0.05)),
    conditioner=dict(type='MaskConditions', part_names='data:part_names', bank=5),
    average=dict(generator=dict(decay=0.5)))
train_dataloader = dict(batch_size=4, dataset=dict(
    type='Stream', source=dict(type='DrawnPortraits', image_size=32, images=12), masks=True,
    transforms=[dict(type='HorizontalFlip', swap=[[4, 5]])]))
optim_wrapper = dict(
    generator=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0.0, 0.9))),
    discriminator=dict(optimizer=dict(type='Adam', lr=1e-3, betas=(0.0, 0.9))))
train_cfg = dict(max_iters=4)
hooks = dict(checkpoints=dict(type='Checkpoints', interval=2, keep=0), journal=dict(type='Journal'))
"""


def write_config(file: Path) -> Path:
    """The config, in a file."""
    file.write_text(CONFIG)
    return file
