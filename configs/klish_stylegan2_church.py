"""KLiSH on StyleGAN2 on LSUN churches, 256 px."""

_base_ = '_base_/klish.py'
title = 'KLiSH on StyleGAN2 on LSUN churches'
# NVIDIA's, of StyleGAN3's collection of StyleGAN2 networks.
generator = dict(weights='weights/stylegan2-lsunchurch-256x256.pkl')
features = dict(layers=[9, 11, 13])
final = 11
quick = dict(generator=dict(type='EmbeddedStyleGAN2'))
