"""The linear semantic extractor on StyleGAN2 on LSUN churches, 256 px."""

_base_ = '_base_/lse_scenes.py'
title = 'LSE on StyleGAN2 on LSUN churches'
_weights = 'weights/stylegan2-lsunchurch-256x256.pkl'
files = {_weights: "NVIDIA's, of StyleGAN3's collection of StyleGAN2 networks"}
model = dict(networks=dict(generator=dict(weights=_weights)))
quick = dict(model=dict(networks=dict(generator=dict(type='EmbeddedStyleGAN2'))))
