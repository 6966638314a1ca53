"""SSA-GAN on COCO with the published settings."""

_base_ = ['_base_/captions_coco.py', '_base_/ssagan.py']
title = 'SSA-GAN on COCO'
train_dataloader = dict(batch_size=24, dataset=dict(sizes=[256], max_words=18))
train_cfg = dict(max_iters=413_880)  # 120 epochs of 3,449 batches
before = dict(damsm=_base_._damsm_here)
model = dict(objectives=dict(damsm=dict(class_masking=False)))
evaluation = dict(metrics=dict(r_precision=_base_._r_precision))
quick = dict(train_dataloader=dict(dataset=dict(sizes=[32])), evaluation=dict(metrics=dict(r_precision=None)))
