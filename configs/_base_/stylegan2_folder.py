"""StyleGAN2(-ADA) on a folder of images; `toolbox preset NAME` writes a published run's numbers on top."""

_base_ = 'runtime.py'
# --cfg-options train_dataloader.dataset.source.root=MY/FOLDER
train_dataloader = dict(
    batch_size=32, num_workers=2, persistent_workers=True,
    dataset=dict(type='Stream', source=dict(type='ImageFolder', root='data/folder', image_size=256),
                 transforms=[]))
model = dict(
    type='Game',
    networks=dict(generator=dict(type='StyleGAN2Generator'),
                  discriminator=dict(type='StyleGAN2Discriminator')),
    players=dict(discriminator=['discriminator'], generator=['generator']),
    phases=[
        dict(player='generator', objectives=['real_or_fake']),
        dict(player='generator', objectives=['path_length'], every=4),
        dict(player='discriminator', objectives=['real_or_fake']),
        dict(player='discriminator', objectives=['r1'], every=16)],
    objectives=dict(
        real_or_fake=dict(type='NonSaturatingAdversarial'), path_length=dict(type='PathLength', weight=2.0),
        r1=dict(type='R1', gamma=10.0)),
    augment=dict(type='AdaptiveAugment', pipeline='bgc', target=0.6, speed_kimg=500, every=4),
    average=dict(generator=dict(half_life_kimg=10.0, average_buffers=False)))
optim_wrapper = dict(
    discriminator=dict(type='FiniteGradients',
                       optimizer=dict(type='Adam', lr=0.002, betas=(0.0, 0.99), eps=1e-8)),
    generator=dict(type='FiniteGradients',
                   optimizer=dict(type='Adam', lr=0.002, betas=(0.0, 0.99), eps=1e-8)))
_widths = dict(image_size=32, channel_base=1024, channel_max=128)
quick = dict(
    train_dataloader=dict(
        batch_size=16, num_workers=0, persistent_workers=False,
        dataset=dict(source=dict(type='DrawnPortraits', image_size=32))),
    model=dict(
        networks=dict(
            generator=dict(latent_dim=128, style_dim=128, **_widths),
            discriminator=dict(minibatch_std_group=4, **_widths)),
        objectives=dict(r1=dict(gamma=0.1)),
        augment=dict(speed_kimg=100),
        average=dict(generator=dict(half_life_kimg=2.0, rampup=0.05))),
    train_cfg=dict(max_iters=1500))
