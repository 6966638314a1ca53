"""IPL, row 3 of the paper's Table 1."""

_base_ = '_base_/ipl_ffhq.py'
title = 'IPL: FFHQ, photo to wall painting'
_labels = ['photo', 'wall painting']
before = dict(prompts=dict(model=dict(networks=dict(mapper=dict(names=_labels)))))
model = dict(networks=dict(mapper=dict(names=_labels)))
