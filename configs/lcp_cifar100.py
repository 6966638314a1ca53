"""LCP-GAN on CIFAR-100 with 20 % of the labels, three clusters a class."""

_base_ = 'lcp_cifar.py'
title = 'LCP-GAN on BigGAN, three clusters a class'
_source = dict(type='CIFAR100', root='data/cifar100', train=True, download=True,
               fallback=dict(type='EmbeddedFashion'))
train_dataloader = dict(dataset=dict(source=_source, split=dict(labelled_per_class=100)))
evaluation = dict(real=_source, test=dict(_source, train=False))
model = dict(conditioner=dict(clusters=3))
quick = dict(
    train_dataloader=dict(dataset=dict(source=dict(type='EmbeddedFashion'))),
    evaluation=dict(real=dict(type='EmbeddedFashion'), test=dict(type='EmbeddedFashion', split='test')))
