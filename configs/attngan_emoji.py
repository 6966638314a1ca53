"""A small AttnGAN on the embedded emoji: two images of each caption, 16 and 32 pixels, DAMSM before."""

_base_ = '_base_/damsm_stage_emoji.py'
title = 'AttnGAN on emoji'
model = dict(
    networks=dict(
        generator=dict(type='AttnGANGenerator', channels=16, residual_blocks=1, image_size=32, stages=2,
                       noise_dim=32, condition_dim=32, code_dim=64),
        discriminator16=dict(type='AttnGANDiscriminator', channels=32, image_size=16, code_dim=64),
        discriminator32=dict(type='AttnGANDiscriminator', channels=32, image_size=32, code_dim=64)),
    players=dict(discriminator=['discriminator16', 'discriminator32'], generator=['generator']),
    phases=[dict(player='discriminator'), dict(player='generator')],
    objectives=dict(
        at16=dict(type='MatchingAwareAdversarial', discriminator='discriminator16'),
        at32=dict(type='MatchingAwareAdversarial', discriminator='discriminator32'),
        damsm=dict(type='DamsmMatching', weight=5.0),
        kl=dict(type='ConditioningKL')),
    average=dict(generator=dict(decay=0.999, average_buffers=False)))
optim_wrapper = dict(
    discriminator=dict(optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999))),
    generator=dict(optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999))))
quick = dict(model=dict(average=dict(generator=dict(decay=0.98))))
