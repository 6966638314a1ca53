"""The linear semantic extractor on PGGAN on CelebA-HQ, 1024 px."""

_base_ = '_base_/lse_faces.py'
title = 'LSE on PGGAN on CelebA-HQ'
_weights = 'weights/pggan_celebahq1024.pth'
files = {_weights: "genforce's model zoo"}
model = dict(networks=dict(generator=dict(weights=_weights)))
quick = dict(model=dict(networks=dict(generator=dict(type='EmbeddedStyleGAN2'))))
