"""Ablation: 1 cluster a class."""

_base_ = 'lcp_cifar.py'
title = 'k = 1'
model = dict(conditioner=dict(clusters=1))
quick = dict(model=dict(conditioner=dict(clusters=1)))
