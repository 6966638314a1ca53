"""DM-GAN on COCO with the published settings."""

_base_ = ['_base_/captions_coco.py', '_base_/dmgan.py']
title = 'DM-GAN on COCO'
train_dataloader = dict(batch_size=16)
train_cfg = dict(max_iters=1_034_600)  # 200 epochs (paper: 120) of 5,173 batches; the best was published
before = dict(damsm=_base_._damsm_here)
model = dict(
    networks=dict(generator=dict(residual_blocks=3)),
    objectives=dict(damsm=dict(weight=50.0, class_masking=False)))
evaluation = dict(metrics=dict(r_precision=_base_._r_precision))
quick = dict(evaluation=dict(metrics=dict(r_precision=None)))
