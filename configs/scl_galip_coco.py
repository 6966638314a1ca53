"""SCL on GALIP, COCO: pairs of one label, contrasted in the game; CLIP stays as it is."""

_base_ = ['toolbox/galip_coco', '_base_/scl.py']
_label_loss = '{{$LABEL_LOSS:scl}}'  # in its place: unicl, ce, nt_xent or none
title = f'GALIP on COCO, label loss {_label_loss}'
train_dataloader = dict(dataset=dict(_base_.train_dataloader.dataset, type='LabelPairs'))
stages = _base_._galip_stages[_label_loss]  # cross-entropy's classifiers are trained before
_networks = dict(_base_._classifiers_model.networks, clip=_base_.model.networks.clip)
_stage = dict(_base_._classifiers, model=dict(_base_._classifiers_model, networks=_networks))
before = dict.fromkeys(stages, _stage)
model = _base_._galip_with[_label_loss]
_stage_quick = dict(
    model=dict(networks=dict(clip=_base_.quick.model.networks.clip)), train_cfg=dict(max_iters=100))
quick = dict(
    train_dataloader=dict(dataset=_base_.quick.train_dataloader.dataset),
    before=dict.fromkeys(stages, _stage_quick))
