"""Ablation: coefficients of generated images: drawn from a Dirichlet distribution."""

_base_ = 'lcp_cifar.py'
title = 'Coefficients: drawn from a Dirichlet distribution'
model = dict(conditioner=dict(sampler=dict(type='DirichletCoefficients')))
