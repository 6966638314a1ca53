"""StyleGAN-NADA, row 10 of IPL's Table 1."""

_base_ = '_base_/nada_dog.py'
title = 'StyleGAN-NADA: AFHQ dogs, photo to cubism'
_labels = ['photo', 'cubism']
model = dict(
    phases=[dict(player='generator', moves=dict(type='AdaptiveLayers', label=_labels[1], at_once=2))],
    objectives=dict(direction=dict(labels=_labels)))
