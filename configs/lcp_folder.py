"""LCP-GAN on any folder of class folders: data/folder/<class>/*.png (name yours with --cfg-options)."""

_base_ = 'lcp_cifar.py'
title = 'LCP-GAN on a folder of images'
# --cfg-options train_dataloader.dataset.source.root=MY/FOLDER evaluation.real.root=MY/FOLDER
_source = dict(type='ImageFolder', root='data/folder', image_size=32)
train_dataloader = dict(dataset=dict(source=_source,
                                     split=dict(_delete_=True, labelled_fraction=0.1, seed=0)))
evaluation = dict(real=_source, test=None)
