"""SCL on GALIP, CUB, in both phases: CLIP's projections learn before the game."""

_base_ = ['toolbox/galip_cub', '_base_/scl.py']
title = 'SCL on GALIP, CUB, projections of CLIP tuned'
train_dataloader = dict(dataset=dict(_base_.train_dataloader.dataset, type='LabelPairs'))
before = dict(tuning=dict(_base_._tuning, model=dict(
    _base_._tuning_model, networks=dict(clip=dict(_base_.model.networks.clip, **_base_._tuning_clip)))))
stages = ['tuning']
_game = _base_._galip_with['scl']
model = dict(_game, networks=dict(clip=dict(weights=dict(stage='tuning'))))
quick = dict(
    train_dataloader=dict(dataset=_base_.quick.train_dataloader.dataset),
    before=dict(tuning=dict(
        model=dict(networks=dict(clip=dict(_base_.quick.model.networks.clip, **_base_._tuning_clip))),
        train_cfg=dict(max_iters=100))),
    model=dict(networks=dict(clip=dict(_base_.quick.model.networks.clip, weights=dict(stage='tuning')))))
