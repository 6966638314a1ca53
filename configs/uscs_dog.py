"""USCS of dogs: 9 clusters of StyleGAN2-ADA on AFHQ (seed 1992)."""

_base_ = '_base_/uscs_pairs.py'
title = 'USCS: AFHQ dogs'
train_dataloader = dict(dataset=dict(source=dict(root='data/pairs/dog')))
_parts = dict(n_parts=9)
model = dict(networks=dict(generator=_parts, discriminator=_parts))
quick = dict(train_dataloader=dict(dataset=dict(source=dict(type='DrawnPortraits', image_size=64))))
