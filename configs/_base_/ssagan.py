"""SSA-GAN (Liao et al. 2022) with the published settings: one image, MA-GP in a step of its own."""

_base_ = 'damsm_stage.py'
# its authors' encoders take images without align_corners; load the text encoder that came with a generator
model = dict(
    networks=dict(
        generator=dict(type='SSAGANGenerator'), discriminator=dict(type='SSAGANDiscriminator'),
        image_encoder=dict(align_corners=False)),
    players=dict(discriminator=['discriminator'], generator=['generator']),
    phases=[dict(player='discriminator', objectives=['adversarial']),
            dict(player='discriminator', objectives=['penalty']),
            dict(player='generator')],
    objectives=dict(
        adversarial=dict(type='MatchingHinge'),
        penalty=dict(type='MatchingAwarePenalty'),
        damsm=dict(type='DamsmMatching', gamma1=5.0, weight=0.05)))
before = dict(damsm=dict(model=dict(networks=dict(image_encoder=dict(align_corners=False)))))
optim_wrapper = dict(
    discriminator=dict(optimizer=dict(type='Adam', lr=4e-4, betas=(0.0, 0.9))),
    generator=dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.0, 0.9))))
quick = dict(
    before=_base_.quick.before,  # once more: above it was said what only the large encoder takes
    model=dict(networks=dict(
        image_encoder=_base_.quick.model.networks.image_encoder,
        generator=dict(channels=8, image_size=32, latent_dim=32, code_dim=64, mask_channels=16),
        discriminator=dict(channels=8, image_size=32, code_dim=64))))
