"""Ablation: coefficients of generated images: softmax of a normal vector."""

_base_ = 'lcp_cifar.py'
title = 'Coefficients: softmax of a normal vector'
model = dict(conditioner=dict(sampler=dict(type='SoftmaxNormalCoefficients')))
