"""Ablation: hard K-means instead of soft clusters."""

_base_ = 'lcp_cifar.py'
title = 'Hard K-means'
model = dict(conditioner=dict(clusterer=dict(type='KMeans')))
