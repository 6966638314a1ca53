"""USCS of painted faces: 18 clusters of StyleGAN2-ADA on MetFaces (seed 1992)."""

_base_ = '_base_/uscs_pairs.py'
title = 'USCS: MetFaces'
train_dataloader = dict(dataset=dict(source=dict(root='data/pairs/metfaces')))
_parts = dict(n_parts=18)
model = dict(networks=dict(generator=_parts, discriminator=_parts))
quick = dict(train_dataloader=dict(dataset=dict(source=dict(type='DrawnPortraits', image_size=64))))
