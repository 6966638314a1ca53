"""Ablation: 10 clusters a class."""

_base_ = 'lcp_cifar.py'
title = 'k = 10'
model = dict(conditioner=dict(clusters=10))
quick = dict(model=dict(conditioner=dict(clusters=10)))
