"""The linear semantic extractor on StyleGAN2 on LSUN churches, 256 px."""

_base_ = '_base_/lse_scenes.py'
title = 'LSE on StyleGAN2 on LSUN churches'
model = dict(networks=dict(generator=dict(weights='weights/stylegan2-lsunchurch-256x256.pkl')))  # NVIDIA's
