"""KLiSH on PGGAN on LSUN churches, 256 px."""

_base_ = '_base_/klish.py'
title = 'KLiSH on PGGAN on LSUN churches'
generator = dict(weights='weights/pggan_churchoutdoor256.pth')  # genforce's model zoo
features = dict(layers=[7, 9, 11, 13], truncation=1.0)
final = 14
seeds = [1992, 1990, 1991, 1993, 1994]  # the first is the one that the paper shows
quick = dict(generator=dict(type='EmbeddedStyleGAN2'))
