"""USCS on one core: a small GauGAN learns to paint drawn portraits from the masks of their parts."""

_base_ = '_base_/uscs.py'
title = 'USCS, small, on drawn portraits'
threads = 1
train_dataloader = dict(
    batch_size=4, dataset=dict(type='Stream', source=dict(type='DrawnPortraits', image_size=64), masks=True))
# A stand-in for VGG-19; the segmenter that measures is not the network that teaches.
model = dict(
    fakes='shared',  # one batch for both players: a sixth of the time
    networks=dict(
        generator=dict(image_size=64, latent_dim=32, channels=8, hidden=16),
        discriminator=dict(image_size=64, channels=16, layers=3),
        encoder=dict(latent_dim=32, image_size=64, channels=8),
        perceptual=dict(type='PortraitMaps')),
    conditioner=dict(bank=256),
    average=dict(generator=dict(half_life_kimg=0.2, rampup=0.05)))
optim_wrapper = dict(
    generator=dict(optimizer=dict(lr=6e-4)), discriminator=dict(optimizer=dict(lr=6e-4)))
train_cfg = dict(max_iters=1000)
evaluation = dict(
    real=dict(type='DrawnPortraits', image_size=64), n_fake=1000, batch_size=50,
    extractor=dict(type='EmbeddedClipFeatures'),
    metrics=dict(
        mask_agreement=dict(type='MaskAgreement', segmenter=dict(type='EmbeddedSegmenter')),
        fid=dict(type='FID')))
hooks = dict(checkpoints=dict(interval=100), samples=dict(interval=300))
quick = dict(
    train_cfg=dict(max_iters=60), hooks=dict(checkpoints=dict(interval=30), samples=dict(interval=30)),
    evaluation=dict(n_fake=100))
