"""A small SSA-GAN on the embedded emoji: one image, mismatched captions, MA-GP in a step of its own."""

_base_ = '_base_/damsm_stage_emoji.py'
title = 'SSA-GAN on emoji'
train_dataloader = dict(dataset=dict(sizes=[32]))
model = dict(
    networks=dict(
        generator=dict(type='SSAGANGenerator', channels=8, image_size=32, latent_dim=32, code_dim=64,
                       mask_channels=16),
        discriminator=dict(type='SSAGANDiscriminator', channels=8, image_size=32, code_dim=64)),
    players=dict(discriminator=['discriminator'], generator=['generator']),
    phases=[dict(player='discriminator', objectives=['adversarial']),
            dict(player='discriminator', objectives=['penalty']),
            dict(player='generator')],
    objectives=dict(
        adversarial=dict(type='MatchingHinge'),
        penalty=dict(type='MatchingAwarePenalty'),
        damsm=dict(type='DamsmMatching', gamma1=5.0, weight=0.05)))
optim_wrapper = dict(
    discriminator=dict(optimizer=dict(type='Adam', lr=4e-4, betas=(0.0, 0.9))),
    generator=dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.0, 0.9))))
