"""IPL, row 4 of the paper's Table 1."""

_base_ = '_base_/ipl_ffhq.py'
title = 'IPL: FFHQ, photo to ukiyo-e'
_labels = ['photo', 'ukiyo-e']
before = dict(prompts=dict(model=dict(networks=dict(mapper=dict(names=_labels)))))
model = dict(networks=dict(mapper=dict(names=_labels)))
