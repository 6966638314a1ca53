"""Ablation: 3 clusters a class."""

_base_ = 'lcp_cifar.py'
title = 'k = 3'
model = dict(conditioner=dict(clusters=3))
quick = dict(model=dict(conditioner=dict(clusters=3)))
