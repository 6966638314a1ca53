"""StyleGAN2 with the published settings 'auto': 256 pixels, conditional, for 1 GPU."""

_base_ = '_base_/stylegan2_folder.py'
title = 'StyleGAN2, auto, 256 pixels, conditional'
train_dataloader = dict(batch_size=16, dataset=dict(source=dict(image_size=256)))
model = dict(
    networks=dict(
        generator=dict(preset='auto', image_size=256, n_conditions='data:n_classes'),
        discriminator=dict(preset='auto', image_size=256, n_conditions='data:n_classes')),
    objectives=dict(r1=dict(gamma=0.8192)),
    average=dict(generator=dict(half_life_kimg=5.0, rampup=0.05)),
    conditioner=dict(type='ClassConditions', class_names='data:classes'))
optim_wrapper = dict(
    discriminator=dict(optimizer=dict(lr=0.0023529411764705885, betas=(0.0, 0.9905854573074332))),
    generator=dict(optimizer=dict(lr=0.002, betas=(0.0, 0.9919919678228657))))
train_cfg = dict(max_iters=1562500)
