"""KLiSH on StyleGAN2-ADA on AFHQ cats, 512 px."""

_base_ = '_base_/klish.py'
title = 'KLiSH on StyleGAN2-ADA on AFHQ cats'
generator = dict(weights='weights/afhqcat.pkl')  # NVIDIA's (stylegan2-ada-pytorch)
features = dict(layers=[9, 11, 13, 15], truncation=0.7)
clusterers = dict(klish=dict(clusters=40), kasp=dict(centres=40))
shown = [20]
final = 7
seeds = [1994, 1990, 1991, 1992, 1993]  # the first is the one that the paper shows
quick = dict(generator=dict(type='EmbeddedStyleGAN2'))
