"""SSA-GAN on CUB with the published settings."""

_base_ = ['_base_/captions_cub.py', '_base_/ssagan.py']
title = 'SSA-GAN on CUB'
train_dataloader = dict(batch_size=24, dataset=dict(sizes=[256]))
train_cfg = dict(max_iters=220_800)  # 600 epochs of 368 batches; epoch 550 was published
before = dict(damsm=_base_._damsm_here)
evaluation = dict(metrics=dict(r_precision=_base_._r_precision))
quick = dict(train_dataloader=dict(dataset=dict(sizes=[32])), evaluation=dict(metrics=dict(r_precision=None)))
