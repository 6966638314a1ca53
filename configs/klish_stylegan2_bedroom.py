"""KLiSH on StyleGAN2 on LSUN bedrooms, 256 px."""

_base_ = '_base_/klish.py'
title = 'KLiSH on StyleGAN2 on LSUN bedrooms'
# Trained by KLiSH's authors with genforce; not released by NVIDIA.
generator = dict(weights='weights/stylegan2_bedroom256.pth')
features = dict(layers=[9, 11, 13])
final = 18
seeds = [1994, 1990, 1991, 1992, 1993]  # the first is the one that the paper shows
quick = dict(generator=dict(type='EmbeddedStyleGAN2'))
