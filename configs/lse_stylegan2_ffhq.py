"""The linear semantic extractor on StyleGAN2 on FFHQ, 1024 px."""

_base_ = '_base_/lse_faces.py'
title = 'LSE on StyleGAN2 on FFHQ'
model = dict(networks=dict(generator=dict(weights='weights/stylegan2-ffhq-1024x1024.pkl')))  # NVIDIA's
