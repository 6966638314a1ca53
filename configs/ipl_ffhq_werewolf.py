"""IPL, row 7 of the paper's Table 1."""

_base_ = '_base_/ipl_ffhq.py'
title = 'IPL: FFHQ, human to werewolf'
_labels = ['human', 'werewolf']
before = dict(prompts=dict(model=dict(networks=dict(mapper=dict(names=_labels)))))
model = dict(networks=dict(mapper=dict(names=_labels)))
