"""PGGAN at 128 pixels on a folder of images: progressive growing and WGAN-GP, as published for 8 GPUs."""

_base_ = '_base_/runtime.py'
title = 'PGGAN: progressive growing, WGAN-GP'
# --cfg-options train_dataloader.dataset.source.root=MY/FOLDER
_growth = dict(
    image_size=128, start=4, kimg=600, fade_kimg=600,
    # learning rates of larger sizes: 2.0 at 256, 3.0 at 512 and 1024
    batch_sizes=[512, 256, 128, 64, 32], lr_factors=[1.0, 1.0, 1.0, 1.0, 1.0, 1.5])
train_dataloader = dict(
    batch_size=512, num_workers=2, persistent_workers=True,
    batch_sampler=dict(type='GrowingBatches', growth=_growth),
    dataset=dict(
        type='Stream', source=dict(type='ImageFolder', root='data/folder', image_size=128),
        transforms=[dict(type='HorizontalFlip')]))
model = dict(
    type='Game',
    networks=dict(
        generator=dict(type='PGGANGenerator', image_size=128),
        discriminator=dict(type='PGGANDiscriminator', image_size=128)),
    players=dict(discriminator=['discriminator'], generator=['generator']),
    phases=[dict(player='discriminator'), dict(player='generator')],
    objectives=dict(
        real_or_fake=dict(type='WassersteinAdversarial'),
        gradient_penalty=dict(type='GradientPenalty', strength=10.0),
        drift=dict(type='Drift', weight=0.001)),
    average=dict(generator=dict(decay=0.999, average_buffers=False)))
optim_wrapper = dict(
    discriminator=dict(optimizer=dict(type='Adam', lr=0.001, betas=(0.0, 0.99), eps=1e-8)),
    generator=dict(optimizer=dict(type='Adam', lr=0.001, betas=(0.0, 0.99), eps=1e-8)))
train_cfg = dict(max_iters=277732)  # 12,000 thousand images
hooks = dict(growing=dict(type='ProgressiveGrowing', growth=_growth))
# At 64 channels a critic with the published learning rate does not keep up (docs/stylegan.md): hence 0.005.
_quick = dict(image_size=32, start=8, kimg=4, fade_kimg=4, batch_sizes=[32, 32, 16], lr_factors=[1.0])
_widths = dict(image_size=32, channel_base=1024, channel_max=64)
quick = dict(
    train_dataloader=dict(
        batch_size=32, num_workers=0, persistent_workers=False, batch_sampler=dict(growth=_quick),
        dataset=dict(source=dict(type='DrawnPortraits', image_size=32))),
    model=dict(
        networks=dict(generator=dict(latent_dim=64, **_widths), discriminator=_widths),
        average=dict(generator=dict(decay=0.98))),
    optim_wrapper=dict(
        discriminator=dict(optimizer=dict(lr=0.005)), generator=dict(optimizer=dict(lr=0.0015))),
    train_cfg=dict(max_iters=1000),
    hooks=dict(growing=dict(growth=_quick), samples=dict(interval=250)))
