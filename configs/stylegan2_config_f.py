"""StyleGAN2 with the published settings 'config-f': 1024 pixels, unconditional, for 8 GPUs."""

_base_ = '_base_/stylegan2_folder.py'
title = 'StyleGAN2, config-f, 1024 pixels, unconditional'
train_dataloader = dict(batch_size=32, dataset=dict(source=dict(image_size=1024)))
model = dict(
    networks=dict(
        generator=dict(preset='config-f', image_size=1024),
        discriminator=dict(preset='config-f', image_size=1024)),
    objectives=dict(r1=dict(gamma=10)),
    average=dict(generator=dict(half_life_kimg=10.0, rampup=None)),
    augment=None)
optim_wrapper = dict(
    discriminator=dict(optimizer=dict(lr=0.0018823529411764706, betas=(0.0, 0.9905854573074332))),
    generator=dict(optimizer=dict(lr=0.0016, betas=(0.0, 0.9919919678228657))))
train_cfg = dict(max_iters=781250)
