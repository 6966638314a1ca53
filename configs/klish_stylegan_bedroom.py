"""KLiSH on StyleGAN on LSUN bedrooms, 256 px."""

_base_ = '_base_/klish.py'
title = 'KLiSH on StyleGAN on LSUN bedrooms'
generator = dict(weights='weights/stylegan_bedroom256.pth')  # genforce's model zoo
features = dict(layers=[7, 9, 11, 13])
final = 16
seeds = [1992, 1990, 1991, 1993, 1994]  # the first is the one that the paper shows
quick = dict(generator=dict(type='EmbeddedStyleGAN2'))
