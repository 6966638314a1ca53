"""The linear semantic extractor on StyleGAN2 on LSUN bedrooms, 256 px."""

_base_ = '_base_/lse_scenes.py'
title = 'LSE on StyleGAN2 on LSUN bedrooms'
model = dict(networks=dict(generator=dict(weights='weights/stylegan2_bedroom256.pth')))  # KLiSH's authors'
