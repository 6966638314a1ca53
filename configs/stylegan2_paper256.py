"""StyleGAN2 with the published settings 'paper256': 256 pixels, unconditional, for 8 GPUs."""

_base_ = '_base_/stylegan2_folder.py'
title = 'StyleGAN2, paper256, 256 pixels, unconditional'
train_dataloader = dict(batch_size=64, dataset=dict(source=dict(image_size=256)))
model = dict(
    networks=dict(
        generator=dict(preset='paper256', image_size=256),
        discriminator=dict(preset='paper256', image_size=256)),
    objectives=dict(r1=dict(gamma=1)),
    average=dict(generator=dict(half_life_kimg=20.0, rampup=None)))
optim_wrapper = dict(
    discriminator=dict(optimizer=dict(lr=0.0023529411764705885, betas=(0.0, 0.9905854573074332))),
    generator=dict(optimizer=dict(lr=0.002, betas=(0.0, 0.9919919678228657))))
train_cfg = dict(max_iters=390625)
