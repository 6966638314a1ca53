"""UFGS from a folder of unlabelled images: StyleGAN2 on it, its clusters, pairs, a segmenter; 256 px."""

_base_ = '_base_/ufgs.py'
title = 'UFGS of a folder of images'
gan = dict(config='toolbox/stylegan2_ada_auto')
clusters = dict(number=20)
segmenter = dict(
    model=dict(networks=dict(segmenter=dict(image_size=256))),
    train_dataloader=dict(dataset=dict(source=dict(image_size=256))))
