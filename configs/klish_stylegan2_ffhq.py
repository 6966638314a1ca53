"""KLiSH on StyleGAN2 on FFHQ, 1024 px."""

_base_ = '_base_/klish.py'
title = 'KLiSH on StyleGAN2 on FFHQ'
# NVIDIA's, of StyleGAN3's collection of StyleGAN2 networks.
generator = dict(weights='weights/stylegan2-ffhq-1024x1024.pkl')
features = dict(layers=[9, 11, 13, 15, 17])
final = 26
seeds = [1993, 1990, 1991, 1992, 1994]  # the first is the one that the paper shows
quick = dict(generator=dict(type='EmbeddedStyleGAN2'))
