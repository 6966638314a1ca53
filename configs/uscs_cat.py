"""USCS of cats: 7 clusters of StyleGAN2-ADA on AFHQ (seed 1994)."""

_base_ = '_base_/uscs_pairs.py'
title = 'USCS: AFHQ cats'
train_dataloader = dict(dataset=dict(source=dict(root='data/pairs/cat')))
_parts = dict(n_parts=7)
model = dict(networks=dict(generator=_parts, discriminator=_parts))
quick = dict(train_dataloader=dict(dataset=dict(source=dict(type='DrawnPortraits', image_size=64))))
