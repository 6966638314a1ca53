"""KASP's clusters in place of soft k-means: spectral clustering of 20 centres of each class."""

_base_ = 'lcp_cifar.py'
title = 'KASP inside every class'
model = dict(conditioner=dict(clusterer=dict(type='KASP', centres=20)))
quick = dict(model=dict(conditioner=dict(clusterer=dict(centres=8))))
