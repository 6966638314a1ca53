"""StyleGAN-NADA, row 5 of IPL's Table 1."""

_base_ = '_base_/nada_ffhq.py'
title = 'StyleGAN-NADA: FFHQ, human to pixar character'
_labels = ['human', 'pixar character']
model = dict(
    phases=[dict(player='generator', moves=dict(type='AdaptiveLayers', label=_labels[1], at_once=2))],
    objectives=dict(direction=dict(labels=_labels)))
