"""USCS of faces: 26 clusters of StyleGAN2 on FFHQ (seed 1993)."""

_base_ = '_base_/uscs_pairs.py'
title = 'USCS: FFHQ'
train_dataloader = dict(dataset=dict(source=dict(root='data/pairs/ffhq')))
_parts = dict(n_parts=26)
model = dict(networks=dict(generator=_parts, discriminator=_parts))
quick = dict(train_dataloader=dict(dataset=dict(source=dict(type='DrawnPortraits', image_size=64))))
