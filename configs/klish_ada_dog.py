"""KLiSH on StyleGAN2-ADA on AFHQ dogs, 512 px."""

_base_ = '_base_/klish.py'
title = 'KLiSH on StyleGAN2-ADA on AFHQ dogs'
generator = dict(weights='weights/afhqdog.pkl')  # NVIDIA's (stylegan2-ada-pytorch)
features = dict(layers=[9, 11, 13, 15], truncation=0.7)
clusterers = dict(klish=dict(clusters=40), kasp=dict(centres=40))
shown = [20]
final = 9
seeds = [1992, 1990, 1991, 1993, 1994]  # the first is the one that the paper shows
quick = dict(generator=dict(type='EmbeddedStyleGAN2'))
