"""GALIP on CUB with the published settings."""

_base_ = ['_base_/captions_cub.py', '_base_/galip.py']
title = 'GALIP on CUB'
train_dataloader = dict(batch_size=512, dataset=_base_._data)  # 64 on each of 8 GPUs
train_cfg = dict(max_iters=25_534)  # 1,502 epochs of 17 batches
evaluation = _base_._evaluation
quick = dict(train_dataloader=dict(dataset=_base_._data_quick))
