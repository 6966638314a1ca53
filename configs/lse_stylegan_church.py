"""The linear semantic extractor on StyleGAN on LSUN churches, 256 px."""

_base_ = '_base_/lse_scenes.py'
title = 'LSE on StyleGAN on LSUN churches'
model = dict(networks=dict(generator=dict(weights='weights/stylegan_churchoutdoor256.pth')))  # genforce's model zoo
