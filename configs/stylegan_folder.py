"""StyleGAN at 128 pixels on a folder of images: progressive growing and R1, as published for 8 GPUs."""

_base_ = '_base_/runtime.py'
title = 'StyleGAN: progressive growing, styles'
# --cfg-options train_dataloader.dataset.source.root=MY/FOLDER
_growth = dict(
    image_size=128, start=8, kimg=600, fade_kimg=600,
    batch_sizes=[256, 128, 64, 32], lr_factors=[1.0, 1.0, 1.0, 1.0, 1.5])  # 256: 2.0, 512 and 1024: 3.0
train_dataloader = dict(
    batch_size=256, num_workers=2, persistent_workers=True,
    batch_sampler=dict(type='GrowingBatches', growth=_growth),
    dataset=dict(
        type='Stream', source=dict(type='ImageFolder', root='data/folder', image_size=128),
        transforms=[dict(type='HorizontalFlip')]))
model = dict(
    type='Game',
    networks=dict(
        generator=dict(type='StyleGANGenerator', image_size=128),
        discriminator=dict(type='StyleGANDiscriminator', image_size=128)),
    players=dict(discriminator=['discriminator'], generator=['generator']),
    phases=[dict(player='discriminator'), dict(player='generator')],
    objectives=dict(real_or_fake=dict(type='NonSaturatingAdversarial'), r1=dict(type='R1', gamma=10.0)),
    average=dict(generator=dict(half_life_kimg=10, average_buffers=False)))
optim_wrapper = dict(
    discriminator=dict(optimizer=dict(type='Adam', lr=0.001, betas=(0.0, 0.99), eps=1e-8)),
    generator=dict(optimizer=dict(type='Adam', lr=0.001, betas=(0.0, 0.99), eps=1e-8)))
train_cfg = dict(max_iters=717967)  # 25,000 thousand images
hooks = dict(growing=dict(type='ProgressiveGrowing', growth=_growth))
_quick = dict(image_size=32, start=8, kimg=4, fade_kimg=4, batch_sizes=[32, 32, 16], lr_factors=[1.0])
_widths = dict(image_size=32, channel_base=1024, channel_max=64)
quick = dict(
    train_dataloader=dict(
        batch_size=32, num_workers=0, persistent_workers=False, batch_sampler=dict(growth=_quick),
        dataset=dict(source=dict(type='DrawnPortraits', image_size=32))),
    model=dict(
        networks=dict(generator=dict(latent_dim=64, style_dim=64, **_widths), discriminator=_widths),
        objectives=dict(r1=dict(gamma=0.1)), average=dict(generator=dict(half_life_kimg=0.5))),
    optim_wrapper=dict(
        discriminator=dict(optimizer=dict(lr=0.003)), generator=dict(optimizer=dict(lr=0.003))),
    train_cfg=dict(max_iters=1000),
    hooks=dict(growing=dict(growth=_quick), samples=dict(interval=250)))
