"""The linear semantic extractor on StyleGAN2 on LSUN bedrooms, 256 px."""

_base_ = '_base_/lse_scenes.py'
title = 'LSE on StyleGAN2 on LSUN bedrooms'
_weights = 'weights/stylegan2_bedroom256.pth'
files = {_weights: "trained by KLiSH's authors; not released by NVIDIA"}
model = dict(networks=dict(generator=dict(weights=_weights)))
quick = dict(model=dict(networks=dict(generator=dict(type='EmbeddedStyleGAN2'))))
