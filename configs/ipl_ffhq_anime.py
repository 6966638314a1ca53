"""IPL, row 2 of the paper's Table 1."""

_base_ = '_base_/ipl_ffhq.py'
title = 'IPL: FFHQ, photo to anime painting'
_labels = ['photo', 'anime painting']
before = dict(prompts=dict(model=dict(networks=dict(mapper=dict(names=_labels)))))
model = dict(networks=dict(mapper=dict(names=_labels)))
