"""StyleGAN-NADA, row 3 of IPL's Table 1."""

_base_ = '_base_/nada_ffhq.py'
title = 'StyleGAN-NADA: FFHQ, photo to wall painting'
_labels = ['photo', 'wall painting']
model = dict(
    phases=[dict(player='generator', moves=dict(type='AdaptiveLayers', label=_labels[1], at_once=2))],
    objectives=dict(direction=dict(labels=_labels)))
