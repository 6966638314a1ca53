"""The linear semantic extractor on StyleGAN on LSUN churches, 256 px."""

_base_ = '_base_/lse_scenes.py'
title = 'LSE on StyleGAN on LSUN churches'
_weights = 'weights/stylegan_churchoutdoor256.pth'
files = {_weights: "genforce's model zoo"}
model = dict(networks=dict(generator=dict(weights=_weights)))
quick = dict(model=dict(networks=dict(generator=dict(type='EmbeddedStyleGAN2'))))
