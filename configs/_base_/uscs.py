"""USCS with the numbers of GauGAN's authors: pairs of images and cluster maps, two players, one batch."""

# What every run shares, as in the core's base: a plugin's wheel holds no other.
seed = 0
model = dict(
    type='Game',
    networks=dict(
        generator=dict(type='SpadeGenerator', n_parts='data:n_parts', uses=dict(encoder='encoder')),
        discriminator=dict(type='MultiscalePatchDiscriminator', n_parts='data:n_parts'),
        encoder=dict(type='SpadeEncoder'),
        # --cfg-options model.networks.perceptual.weights=MY/vgg19-dcbb9e9d.pth
        perceptual=dict(type='VGG19Maps', weights='data/vgg19-dcbb9e9d.pth')),
    players=dict(generator=['generator', 'encoder'], discriminator=['discriminator']),
    phases=[dict(player='generator'), dict(player='discriminator')],
    objectives=dict(
        real_or_fake=dict(type='MultiscaleHinge'),
        features=dict(type='FeatureMatching', weight=10.0),
        perceptual=dict(type='PerceptualMatching', weight=10.0),
        style=dict(type='StyleKL', weight=0.05)),
    conditioner=dict(type='MaskConditions', part_names='data:part_names', bank=64))
# Two time scales (Heusel et al. 2017) about 2e-4. No flips: clusters may know left from right. Where they do,
# transforms=[dict(type='HorizontalFlip', swap=[[3, 4]])] mirrors and exchanges parts 3 and 4.
optim_wrapper = dict(
    generator=dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.0, 0.9))),
    discriminator=dict(optimizer=dict(type='Adam', lr=4e-4, betas=(0.0, 0.9))))
hooks = dict(
    checkpoints=dict(type='Checkpoints', interval=5000, keep=2),
    journal=dict(type='Journal'),
    samples=dict(type='SampleGrid', interval=1000, columns=8),
    progress=dict(type='ProgressBar'))
# Small networks on drawn portraits, 64 pixels, whose masks are exact.
_portraits = dict(type='DrawnPortraits', image_size=64)
quick = dict(
    train_dataloader=dict(batch_size=8, num_workers=0, persistent_workers=False,
                          dataset=dict(source=_portraits)),
    model=dict(networks=dict(
        generator=dict(image_size=64, latent_dim=32, channels=8, hidden=16),
        discriminator=dict(image_size=64, channels=16, layers=3),
        encoder=dict(latent_dim=32, image_size=64, channels=8),
        perceptual=dict(type='PortraitMaps'))),
    train_cfg=dict(max_iters=400),
    hooks=dict(checkpoints=dict(interval=200), samples=dict(interval=200)))
