"""StyleGAN2-ADA at 64 x 64 pixels on the drawn portraits: the weights that are shipped come from here."""

_base_ = '_base_/runtime.py'
title = 'StyleGAN2-ADA, small, on drawn portraits'
train_dataloader = dict(batch_size=16, dataset=dict(type='Stream', source=dict(type='DrawnPortraits')))
_widths = dict(image_size=64, channel_base=1024, channel_max=128)
model = dict(
    type='Game',
    networks=dict(
        generator=dict(type='StyleGAN2Generator', latent_dim=128, style_dim=128, style_mixing_prob=0.0,
                       **_widths),
        discriminator=dict(type='StyleGAN2Discriminator', **_widths)),
    players=dict(discriminator=['discriminator'], generator=['generator']),
    phases=[
        dict(player='generator'),
        dict(player='discriminator', objectives=['real_or_fake']),
        dict(player='discriminator', objectives=['r1'], every=16)],
    objectives=dict(real_or_fake=dict(type='NonSaturatingAdversarial'), r1=dict(type='R1', gamma=0.1)),
    augment=dict(type='AdaptiveAugment', pipeline='bgc', target=0.6, speed_kimg=500, every=4),
    average=dict(generator=dict(half_life_kimg=5, rampup=0.05, average_buffers=False)))
optim_wrapper = dict(
    discriminator=dict(optimizer=dict(type='Adam', lr=0.0025 * 16 / 17, betas=(0.0, 0.99**(16 / 17)),
                                      eps=1e-8)),
    generator=dict(optimizer=dict(type='Adam', lr=0.0025, betas=(0.0, 0.99), eps=1e-8)))
train_cfg = dict(max_iters=10000)
evaluation = dict(
    real=dict(type='DrawnPortraits'), test=dict(type='DrawnPortraits', split='test'),
    n_fake=5000, batch_size=100, extractor=dict(type='EmbeddedClipFeatures'),
    metrics=dict(fid=dict(type='FID'), precision_recall=dict(type='PrecisionRecall')))
hooks = dict(checkpoints=dict(interval=500, keep=40), samples=dict(interval=250))
quick = dict(train_cfg=dict(max_iters=300))
