"""Ablation: coefficients of generated images: all clusters alike (one embedding a class)."""

_base_ = 'lcp_cifar.py'
title = 'Coefficients: all clusters alike (one embedding a class)'
model = dict(conditioner=dict(sampler=dict(type='UniformCoefficients')))
