"""The linear semantic extractor on StyleGAN on CelebA-HQ, 1024 px."""

_base_ = '_base_/lse_faces.py'
title = 'LSE on StyleGAN on CelebA-HQ'
model = dict(networks=dict(generator=dict(weights='weights/stylegan_celebahq1024.pth')))  # genforce's model zoo
