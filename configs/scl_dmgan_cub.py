"""SCL on DM-GAN, CUB: pairs of one label, contrasted in DAMSM and in the game."""

_base_ = ['toolbox/dmgan_cub', '_base_/scl.py']
_label_loss = '{{$LABEL_LOSS:scl}}'  # in its place: unicl, ce, nt_xent or none
title = f'DM-GAN on CUB, label loss {_label_loss}'
train_dataloader = dict(dataset=dict(_base_.train_dataloader.dataset, type='LabelPairs'))
before = dict(damsm=dict(model=_base_._damsm_with[_label_loss]))
model = _base_._gan_with[_label_loss]
quick = dict(train_dataloader=dict(dataset=_base_.quick.train_dataloader.dataset))
