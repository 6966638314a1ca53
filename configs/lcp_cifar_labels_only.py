"""Ablation: the labelled 10 % alone; everything else is left out."""

_base_ = 'toolbox/biggan_cifar'
title = 'BigGAN, the labelled images and nothing else'
train_dataloader = dict(dataset=dict(split=dict(labelled_per_class=400, unlabelled='none', seed=0)))
quick = dict(train_dataloader=dict(dataset=dict(split=dict(labelled_per_class=40))))
