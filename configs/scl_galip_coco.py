"""SCL on GALIP, COCO: pairs of one label, contrasted in the game; CLIP stays as it is."""

_base_ = ['toolbox/galip_coco', '_base_/scl.py']
_label_loss = '{{$LABEL_LOSS:scl}}'  # in its place: unicl, ce, nt_xent or none
title = f'GALIP on COCO, label loss {_label_loss}'
train_dataloader = dict(dataset=dict(_base_.train_dataloader.dataset, type='LabelPairs'))
before = dict(classifiers=dict(_base_._galip_classifiers, model=dict(
    _base_._galip_classifiers.model, networks=dict(
        _base_._galip_classifiers.model.networks, clip=_base_.model.networks.clip))))
stages = _base_._galip_stages[_label_loss]
model = _base_._galip_with[_label_loss]
quick = dict(
    train_dataloader=dict(dataset=_base_.quick.train_dataloader.dataset),
    before=dict(classifiers=dict(
        model=dict(networks=dict(clip=_base_.quick.model.networks.clip)), train_cfg=dict(max_iters=100))))
