"""The linear semantic extractor on StyleGAN on LSUN bedrooms, 256 px."""

_base_ = '_base_/lse_scenes.py'
title = 'LSE on StyleGAN on LSUN bedrooms'
_weights = 'weights/stylegan_bedroom256.pth'
files = {_weights: "genforce's model zoo"}
model = dict(networks=dict(generator=dict(weights=_weights)))
quick = dict(model=dict(networks=dict(generator=dict(type='EmbeddedStyleGAN2'))))
