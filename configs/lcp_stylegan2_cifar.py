"""LCP-GAN on StyleGAN2-ADA: clusters and prompts as on BigGAN, another base model."""

_base_ = 'lcp_cifar.py'
title = 'LCP-GAN on StyleGAN2-ADA'
train_dataloader = dict(batch_size=64, dataset=dict(transforms=[]))
model = dict(
    networks=dict(
        generator=dict(type='StyleGAN2Generator', preset='cifar', image_size=32,
                       n_conditions='data:n_conditions'),
        discriminator=dict(type='StyleGAN2Discriminator', preset='cifar', image_size=32,
                           n_conditions='data:n_classes')),
    phases=[
        dict(player='generator'),
        dict(player='discriminator', objectives=['real_or_fake', 'prompts']),
        dict(player='discriminator', objectives=['r1'], every=16)],
    objectives=dict(real_or_fake=dict(type='NonSaturatingAdversarial'), r1=dict(type='R1', gamma=0.01)),
    augment=dict(type='AdaptiveAugment', pipeline='bgc', target=0.6, speed_kimg=500, every=4,
                 discriminators=['discriminator']),
    average=dict(generator=dict(_delete_=True, half_life_kimg=500, rampup=0.05, average_buffers=False)))
optim_wrapper = dict(
    discriminator=dict(
        optimizer=dict(type='Adam', lr=0.0025 * 16 / 17, betas=(0.0, 0.99**(16 / 17)), eps=1e-8),
        lr_mult=dict(prompt_discriminator=0.085)),  # 2e-4, as beside BigGAN
    generator=dict(optimizer=dict(type='Adam', lr=0.0025 * 4 / 5, betas=(0.0, 0.99**(4 / 5)), eps=1e-8)))
train_cfg = dict(max_iters=1562500)
quick = dict(
    train_dataloader=dict(batch_size=32),
    model=dict(
        networks=dict(
            generator=dict(channel_base=512, channel_max=64, latent_dim=64, style_dim=64, lr_multiplier=0.1),
            discriminator=dict(channel_base=512, channel_max=64, minibatch_std_group=8, lr_multiplier=0.1)),
        objectives=dict(r1=dict(gamma=20.0)),
        augment=dict(pipeline='xflip,xint', speed_kimg=50),
        average=dict(generator=dict(half_life_kimg=2))),
    optim_wrapper=dict(discriminator=dict(optimizer=dict(lr=0.0015), lr_mult=dict(prompt_discriminator=0.25)),
                       generator=dict(optimizer=dict(lr=0.0025 * 4 / 5))),
    train_cfg=dict(max_iters=1200))
