"""A text-to-image run of a few iterations, of any of the generators, on 16-pixel images."""

from __future__ import annotations

from pathlib import Path

CONFIG = """
plugins = [{plugin!r}]
threads = 1
title = {generator!r}
_data = dict(type='ToyCaptions', image_size=16)
_stages = [8, 16] if {staged!r} else [16]
_generator = dict(type={generator!r}, channels=4, image_size=16, code_dim=8)
_generator.update(
    dict(residual_blocks=1, stages=2, noise_dim=4, condition_dim=4) if {staged!r}
    else dict(latent_dim=4, mask_channels=4))
model = dict(
    type='Game', log_every=1,
    networks=dict(
        text_encoder=dict(type='DamsmTextEncoder', n_tokens='data:n_tokens', embedding_dim=8, code_dim=8),
        image_encoder=dict(type='SmallImageEncoder', code_dim=8, image_size=16, channels=8, regions=4),
        generator=_generator,
        discriminator=dict(type='AttnGANDiscriminator', channels=4, image_size=16, code_dim=8)),
    players=dict(discriminator=['discriminator'], generator=['generator']),
    phases=[dict(player='discriminator'), dict(player='generator')],
    conditioner=dict(type='CaptionConditions', bank=6, uses=dict(text_encoder='text_encoder')),
    fakes='shared',
    objectives=dict(match=dict(type='MatchingAwareAdversarial')),
    average=dict(generator=dict(decay=0.5)))
train_dataloader = dict(
    batch_size=4,
    dataset=dict(type='CaptionStream', source=_data, sizes=_stages, load=1.0, max_words=6))
optim_wrapper = dict(
    discriminator=dict(optimizer=dict(type='Adam', lr=1e-3)),
    generator=dict(optimizer=dict(type='Adam', lr=1e-3)))
train_cfg = dict(max_iters=2)
evaluation = dict(real=_data, n_fake=12, batch_size=5, metrics=dict())
hooks = dict(
    checkpoints=dict(type='Checkpoints', interval=2), journal=dict(type='Journal'),
    samples=dict(type='SampleGrid', interval=2, columns=3))
"""


def write_config(file: Path, generator: str = "AttnGANGenerator") -> Path:
    """The config, in a file."""
    plugin = str(Path(__file__).with_name("toy_captions.py"))
    staged = generator in ("AttnGANGenerator", "DMGANGenerator")
    file.write_text(CONFIG.format(plugin=plugin, generator=generator, staged=staged))
    return file
