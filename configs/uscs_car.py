"""USCS of cars: 12 clusters of StyleGAN2 on LSUN cars (seed 1991), the two of the black bands made one.

The authors train at 512 x 384 pixels. Images are squares here: the middle 384 x 384 are cut out.
"""

_base_ = '_base_/uscs_pairs.py'
title = 'USCS: LSUN cars'
train_dataloader = dict(batch_size=4, dataset=dict(source=dict(root='data/pairs/car', image_size=384)))
_parts = dict(n_parts=12, image_size=384)
model = dict(networks=dict(generator=_parts, discriminator=_parts))
train_cfg = dict(max_iters=10 * 50000 // 4)
quick = dict(train_dataloader=dict(dataset=dict(source=dict(type='DrawnPortraits', image_size=64))))
