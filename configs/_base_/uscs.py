"""USCS with the numbers of GauGAN's authors: a mask and a latent to an image, two players."""

# What every run shares, as in the core's base: a plugin's wheel holds no other.
seed = 0
model = dict(
    type='Game',
    networks=dict(
        generator=dict(type='SpadeGenerator', n_parts='data:n_parts', uses=dict(encoder='encoder')),
        discriminator=dict(type='MultiscalePatchDiscriminator', n_parts='data:n_parts'),
        encoder=dict(type='SpadeEncoder')),
    players=dict(generator=['generator', 'encoder'], discriminator=['discriminator']),
    phases=[dict(player='generator'), dict(player='discriminator')],
    objectives=dict(
        real_or_fake=dict(type='MultiscaleHinge'),
        features=dict(type='FeatureMatching', weight=10.0),
        perceptual=dict(type='PerceptualMatching', weight=10.0),
        style=dict(type='StyleKL', weight=0.05)),
    conditioner=dict(type='MaskConditions', part_names='data:part_names', bank=64))
# Two time scales (Heusel et al. 2017) about 2e-4.
optim_wrapper = dict(
    generator=dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.0, 0.9))),
    discriminator=dict(optimizer=dict(type='Adam', lr=4e-4, betas=(0.0, 0.9))))
hooks = dict(
    checkpoints=dict(type='Checkpoints', interval=5000, keep=2),
    journal=dict(type='Journal'),
    samples=dict(type='SampleGrid', interval=1000, columns=8),
    progress=dict(type='ProgressBar'))
