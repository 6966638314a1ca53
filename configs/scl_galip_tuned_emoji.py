"""SCL on GALIP, emoji, in both phases: CLIP's projections learn before the game."""

_base_ = ['toolbox/galip_emoji', '_base_/scl.py']
title = 'SCL on GALIP, emoji, projections of CLIP tuned'
train_dataloader = dict(dataset=dict(_base_.train_dataloader.dataset, type='LabelPairs'))
before = dict(tuning=dict(_base_._tuning, model=dict(
    _base_._tuning_model, networks=dict(clip=dict(_base_.model.networks.clip, **_base_._tuning_clip)))))
stages = ['tuning']
_game = _base_._galip_with['scl']
model = dict(_game, networks=dict(clip=dict(weights=dict(stage='tuning'))))
quick = dict(before=dict(tuning=dict(train_cfg=dict(max_iters=100))))
