"""USCS of wild animals: 22 clusters of StyleGAN2-ADA on AFHQ (seed 1993); the authors' command says 24."""

_base_ = '_base_/uscs_pairs.py'
title = 'USCS: AFHQ wild animals'
train_dataloader = dict(dataset=dict(source=dict(root='data/pairs/wild')))
_parts = dict(n_parts=22)
model = dict(networks=dict(generator=_parts, discriminator=_parts))
quick = dict(train_dataloader=dict(dataset=dict(source=dict(type='DrawnPortraits', image_size=64))))
