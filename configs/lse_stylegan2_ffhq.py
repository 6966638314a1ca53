"""The linear semantic extractor on StyleGAN2 on FFHQ, 1024 px."""

_base_ = '_base_/lse_faces.py'
title = 'LSE on StyleGAN2 on FFHQ'
_weights = 'weights/stylegan2-ffhq-1024x1024.pkl'
files = {_weights: "NVIDIA's, of StyleGAN3's collection of StyleGAN2 networks"}
model = dict(networks=dict(generator=dict(weights=_weights)))
quick = dict(model=dict(networks=dict(generator=dict(type='EmbeddedStyleGAN2'))))
