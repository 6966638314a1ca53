"""The Diffusion Autoencoder that is shipped: 32-pixel drawn portraits, an hour of one core."""

_base_ = '_base_/runtime.py'
title = 'A small Diffusion Autoencoder on drawn portraits (one player, one core)'
threads = 1
train_dataloader = dict(
    batch_size=16, dataset=dict(type='Stream', source=dict(type='DrawnPortraits', image_size=32)))
model = dict(
    type='Game',
    networks=dict(generator=dict(
        type='DiffAE', image_size=32, channels=16, channel_mult=(1, 2, 4), encoder_channel_mult=(1, 2, 4, 4),
        blocks=1, attention_resolutions=(8,), embed_channels=128, style_channels=64, dropout=0.0,
        steps=20, inversion_steps=50)),
    players=dict(generator=['generator']),
    phases=[dict(player='generator')],
    objectives=dict(noise=dict(type='DenoisingLoss')),
    average=dict(generator=dict(half_life_kimg=2, rampup=0.05)))
optim_wrapper = dict(generator=dict(optimizer=dict(type='Adam', lr=1e-3)))
_steps = 3000
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=5e-5, begin=50, end=_steps, T_max=_steps - 50)]
train_cfg = dict(max_iters=_steps)
hooks = dict(checkpoints=dict(interval=250, keep=2), samples=dict(interval=500))
quick = dict(train_cfg=dict(max_iters=100), hooks=dict(checkpoints=dict(interval=50)))
