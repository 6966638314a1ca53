"""DAMSM on CUB with the published settings: captions and images in one space (AttnGAN's first stage)."""

_base_ = ['_base_/captions_cub.py', '_base_/damsm.py']
title = 'DAMSM on CUB'
model = _base_._damsm.model
train_dataloader = _base_._damsm.train_dataloader
optim_wrapper = _base_._damsm.optim_wrapper
hooks = dict(samples=None)
train_cfg = _base_._damsm_here.train_cfg
param_scheduler = _base_._damsm_here.param_scheduler
evaluation = None
quick = _base_._damsm_quick
