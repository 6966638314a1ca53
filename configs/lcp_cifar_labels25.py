"""Ablation: 25 labels a class (250 in all)."""

_base_ = 'lcp_cifar.py'
title = '25 labels a class'
train_dataloader = dict(dataset=dict(split=dict(labelled_per_class=25)))
quick = dict(train_dataloader=dict(dataset=dict(split=dict(labelled_per_class=12))))
