"""AttnGAN on CUB with the published settings."""

_base_ = ['_base_/captions_cub.py', '_base_/attngan.py']
title = 'AttnGAN on CUB'
train_dataloader = dict(batch_size=20)
train_cfg = dict(max_iters=265_200)  # 600 epochs of 442 batches
before = dict(damsm=_base_._damsm_here)
model = dict(objectives=dict(damsm=dict(weight=5.0)))
evaluation = dict(metrics=dict(r_precision=_base_._r_precision))
quick = dict(evaluation=dict(metrics=dict(r_precision=None)))
