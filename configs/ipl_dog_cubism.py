"""IPL, row 10 of the paper's Table 1."""

_base_ = '_base_/ipl_dog.py'
title = 'IPL: AFHQ dogs, photo to cubism'
_labels = ['photo', 'cubism']
before = dict(prompts=dict(model=dict(networks=dict(mapper=dict(names=_labels)))))
model = dict(networks=dict(mapper=dict(names=_labels)))
