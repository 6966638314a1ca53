"""DM-GAN on CUB with the published settings."""

_base_ = ['_base_/captions_cub.py', '_base_/dmgan.py']
title = 'DM-GAN on CUB'
train_dataloader = dict(batch_size=10)
train_cfg = dict(max_iters=708_000)  # 800 epochs (paper: 600) of 885 batches; the best was published
before = dict(damsm=_base_._damsm_here)
model = dict(objectives=dict(damsm=dict(weight=5.0)))
evaluation = dict(metrics=dict(r_precision=_base_._r_precision))
quick = dict(evaluation=dict(metrics=dict(r_precision=None)))
