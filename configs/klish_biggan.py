"""KLiSH on one class of the BigGAN of configs/biggan_cifar.py; --quick clusters an untrained one."""

_base_ = '_base_/klish.py'
title = 'KLiSH on BigGAN, CIFAR-10, one class'
generator = dict(run='runs/biggan_cifar')
features = dict(size=32, truncation=1.0, label=7)  # 7: horses
# K0 of the authors' example of a class of CIFAR-10
clusterers = dict(klish=dict(clusters=40), kasp=dict(centres=40))
final = 10
shown = [20, 10]
quick = dict(generator=dict(type='BigGANGenerator', channels=16), features=dict(size=32))
