"""StyleGAN-NADA on the embedded generator: IPL's second stage with one direction for all images."""

_base_ = 'ipl/ipl_portraits'
title = 'StyleGAN-NADA: drawn portraits become watercolours'
before = None
stages = []
_labels = ['drawing', 'watercolour']
model = dict(
    networks=dict(mapper=None),
    phases=[dict(player='generator', moves=dict(type='AdaptiveLayers', label=_labels[1]))],
    objectives=dict(direction=dict(direction='fixed', labels=_labels)))
quick = dict(before=None, evaluation=dict(n_fake=200), train_cfg=dict(max_iters=100))
