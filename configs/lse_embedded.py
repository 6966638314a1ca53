"""The linear semantic extractor on the embedded generator, taught by the embedded segmenter: some minutes."""

_base_ = '_base_/lse.py'
title = 'LSE on the embedded generator'
threads = 1
model = dict(networks=dict(generator=dict(type='EmbeddedStyleGAN2'), teacher=dict(type='EmbeddedSegmenter')))
train_dataloader = dict(batch_size=4)
train_cfg = dict(max_iters=1500)
param_scheduler = [dict(type='MultiStepLR', by_epoch=False, milestones=[600], gamma=0.1)]
hooks = dict(checkpoints=dict(interval=500))
quick = dict(
    train_cfg=dict(max_iters=60),
    param_scheduler=[dict(type='MultiStepLR', by_epoch=False, milestones=[24], gamma=0.1)],
    hooks=dict(checkpoints=dict(interval=30)))
