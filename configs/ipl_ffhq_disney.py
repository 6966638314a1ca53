"""IPL, row 1 of the paper's Table 1."""

_base_ = '_base_/ipl_ffhq.py'
title = 'IPL: FFHQ, photo to disney'
_labels = ['photo', 'disney']
before = dict(prompts=dict(model=dict(networks=dict(mapper=dict(names=_labels)))))
model = dict(networks=dict(mapper=dict(names=_labels)))
