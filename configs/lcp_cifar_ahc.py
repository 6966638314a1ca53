"""Agglomerative clusters (Ward) in place of soft k-means, with a linear classifier for unlabelled images."""

_base_ = 'lcp_cifar.py'
title = 'Agglomerative clusters inside every class'
model = dict(conditioner=dict(clusterer=dict(type='AHC', linkage='ward')))
