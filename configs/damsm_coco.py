"""DAMSM on COCO with the published settings: captions and images in one space (AttnGAN's first stage)."""

_base_ = ['_base_/captions_coco.py', '_base_/damsm.py']
title = 'DAMSM on COCO'
model = dict(_base_._damsm.model, objectives=dict(match=dict(
    _base_._damsm.model.objectives.match, class_masking=False)))
train_dataloader = dict(batch_size=48, dataset=dict(_base_._damsm.train_dataloader.dataset, max_words=15))
optim_wrapper = _base_._damsm.optim_wrapper
hooks = dict(samples=None)
train_cfg = _base_._damsm_here.train_cfg
param_scheduler = _base_._damsm_here.param_scheduler
evaluation = None
quick = _base_._damsm_quick
