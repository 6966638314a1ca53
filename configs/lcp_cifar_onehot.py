"""Ablation: coefficients of generated images: one random cluster."""

_base_ = 'lcp_cifar.py'
title = 'Coefficients: one random cluster'
model = dict(conditioner=dict(sampler=dict(type='OneHotCoefficients')))
