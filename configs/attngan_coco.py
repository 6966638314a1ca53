"""AttnGAN on COCO with the published settings."""

_base_ = ['_base_/captions_coco.py', '_base_/attngan.py']
title = 'AttnGAN on COCO'
train_dataloader = dict(batch_size=14)
train_cfg = dict(max_iters=709_560)  # 120 epochs of 5,913 batches
before = dict(damsm=_base_._damsm_here)
model = dict(
    networks=dict(
        generator=dict(channels=48, residual_blocks=3),
        discriminator64=dict(channels=96), discriminator128=dict(channels=96),
        discriminator256=dict(channels=96)),
    objectives=dict(damsm=dict(weight=50.0, class_masking=False)))
evaluation = dict(metrics=dict(r_precision=_base_._r_precision))
quick = dict(evaluation=dict(metrics=dict(r_precision=None)))
