"""KLiSH on StyleGAN2 on LSUN cars, 512 px with black bands above and below, which become clusters."""

_base_ = '_base_/klish.py'
title = 'KLiSH on StyleGAN2 on LSUN cars'
# NVIDIA's, of StyleGAN3's collection of StyleGAN2 networks.
generator = dict(weights='weights/stylegan2-lsuncar-512x384.pkl')
features = dict(layers=[9, 11, 13, 15])
final = 14
seeds = [1991, 1990, 1992, 1993, 1994]  # the first is the one that the paper shows
quick = dict(generator=dict(type='EmbeddedStyleGAN2'))
