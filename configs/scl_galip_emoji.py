"""SCL on the small GALIP: pairs of one label, contrasted in the game; CLIP stays as it is."""

_base_ = ['toolbox/galip_emoji', '_base_/scl.py']
_label_loss = '{{$LABEL_LOSS:scl}}'  # in its place: unicl, ce, nt_xent or none
title = f'GALIP on emoji, label loss {_label_loss}'
train_dataloader = dict(dataset=dict(_base_.train_dataloader.dataset, type='LabelPairs'))
before = dict(classifiers=dict(_base_._galip_classifiers, model=dict(
    _base_._galip_classifiers.model, networks=dict(
        _base_._galip_classifiers.model.networks, clip=_base_.model.networks.clip))))
stages = _base_._galip_stages[_label_loss]
model = _base_._galip_with[_label_loss]
quick = dict(before=dict(classifiers=dict(train_cfg=dict(max_iters=100))))
