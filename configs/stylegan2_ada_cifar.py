"""StyleGAN2-ADA on CIFAR-10, conditional: the published 'cifar' settings."""

_base_ = '_base_/cifar10.py'
title = 'StyleGAN2-ADA'
# the pipeline mirrors, with probability p
train_dataloader = dict(batch_size=64, dataset=dict(transforms=[]))

model = dict(
    type='Game',
    networks=dict(
        generator=dict(type='StyleGAN2Generator', preset='cifar', image_size=32,
                       n_conditions='data:n_conditions'),
        discriminator=dict(type='StyleGAN2Discriminator', preset='cifar', image_size=32,
                           n_conditions='data:n_classes')),
    players=dict(discriminator=['discriminator'], generator=['generator']),
    phases=[
        dict(player='generator'),  # path length has weight 0 in this preset
        dict(player='discriminator', objectives=['real_or_fake']),
        dict(player='discriminator', objectives=['r1'], every=16)],
    conditioner=dict(type='ClassConditions', class_names='data:classes'),
    objectives=dict(real_or_fake=dict(type='NonSaturatingAdversarial'), r1=dict(type='R1', gamma=0.01)),
    augment=dict(type='AdaptiveAugment', pipeline='bgc', target=0.6, speed_kimg=500, every=4),
    average=dict(generator=dict(half_life_kimg=500, rampup=0.05, average_buffers=False)))
# lr 0.0025 and betas (0, 0.99), corrected for lazy regularisation every 16 and every 4 steps
optim_wrapper = dict(
    discriminator=dict(
        type='FiniteGradients',
        optimizer=dict(type='Adam', lr=0.0025 * 16 / 17, betas=(0.0, 0.99**(16 / 17)), eps=1e-8)),
    generator=dict(
        type='FiniteGradients',
        optimizer=dict(type='Adam', lr=0.0025 * 4 / 5, betas=(0.0, 0.99**(4 / 5)), eps=1e-8)))
train_cfg = dict(max_iters=1562500)  # 100,000 thousand images
quick = dict(
    train_dataloader=dict(batch_size=32),
    model=dict(
        networks=dict(
            generator=dict(channel_base=512, channel_max=64, latent_dim=64, style_dim=64, lr_multiplier=0.1),
            discriminator=dict(channel_base=512, channel_max=64, minibatch_std_group=8, lr_multiplier=0.1)),
        objectives=dict(r1=dict(gamma=20.0)),
        augment=dict(pipeline='xflip,xint', speed_kimg=50),
        average=dict(generator=dict(half_life_kimg=2))),
    optim_wrapper=dict(discriminator=dict(optimizer=dict(lr=0.0015))),
    train_cfg=dict(max_iters=1200))
