"""BigGAN on CIFAR-10 with all labels: the upper reference of the semi-supervised runs."""

_base_ = '_base_/cifar10.py'
title = 'BigGAN, all labels'

model = dict(
    type='Game',
    networks=dict(
        generator=dict(type='BigGANGenerator', channels=96, n_conditions='data:n_conditions'),
        discriminator=dict(type='BigGANDiscriminator', channels=96, n_conditions='data:n_classes')),
    players=dict(discriminator=['discriminator'], generator=['generator']),
    phases=[dict(player='discriminator', repeat=5), dict(player='generator')],
    conditioner=dict(type='ClassConditions', class_names='data:classes'),
    objectives=dict(real_or_fake=dict(type='HingeAdversarial')),
    augment=dict(type='DiffAugment', policy='translation,cutout', discriminators=['discriminator']),
    average=dict(generator=dict(decay=0.9999, start=1000)))
optim_wrapper = dict(
    discriminator=dict(optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999), eps=1e-6)),
    generator=dict(optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999), eps=1e-6)))
train_cfg = dict(max_iters=100000)
quick = dict(
    model=dict(
        networks=dict(generator=dict(channels=16, attention=False),
                      discriminator=dict(channels=16, attention=False)),
        phases=[dict(player='discriminator'), dict(player='generator')],
        augment=dict(policy='translation'),
        average=dict(generator=dict(decay=0.99, start=100))),
    optim_wrapper=dict(discriminator=dict(optimizer=dict(lr=4e-4)), generator=dict(optimizer=dict(lr=4e-4))),
    train_cfg=dict(max_iters=900))
