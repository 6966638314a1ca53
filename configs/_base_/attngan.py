"""AttnGAN (Xu et al. 2018) with the published settings: three images of each caption, DAMSM before."""

_base_ = 'damsm_stage.py'
# of published weights also generator.mask_mode='official': they were trained with that mask
_judge = dict(type='AttnGANDiscriminator')
model = dict(
    networks=dict(
        generator=dict(type='AttnGANGenerator'), discriminator64=dict(_judge, image_size=64),
        discriminator128=dict(_judge, image_size=128), discriminator256=dict(_judge, image_size=256)),
    players=dict(discriminator=['discriminator64', 'discriminator128', 'discriminator256'],
                 generator=['generator']),
    phases=[dict(player='discriminator'), dict(player='generator')],
    objectives=dict(
        at64=dict(type='MatchingAwareAdversarial', discriminator='discriminator64'),
        at128=dict(type='MatchingAwareAdversarial', discriminator='discriminator128'),
        at256=dict(type='MatchingAwareAdversarial', discriminator='discriminator256'),
        damsm=dict(type='DamsmMatching'),
        kl=dict(type='ConditioningKL')),
    average=dict(generator=dict(decay=0.999, average_buffers=False)))
optim_wrapper = dict(
    discriminator=dict(optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999))),
    generator=dict(optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999))))
_judge_quick = dict(channels=16, code_dim=64)
quick = dict(model=dict(
    networks=dict(
        generator=dict(channels=16, residual_blocks=1, image_size=32, noise_dim=32, condition_dim=32,
                       code_dim=64),
        discriminator64=dict(_judge_quick, image_size=8), discriminator128=dict(_judge_quick, image_size=16),
        discriminator256=dict(_judge_quick, image_size=32)),
    average=dict(generator=dict(decay=0.98))))
