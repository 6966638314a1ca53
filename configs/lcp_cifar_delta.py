"""Ablation: a temperature above the critical one; the clusters collapse, and the log says so."""

_base_ = 'lcp_cifar.py'
title = 'delta = 1: clusters without information'
model = dict(conditioner=dict(clusterer=dict(delta=1.0)))
