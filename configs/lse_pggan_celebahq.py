"""The linear semantic extractor on PGGAN on CelebA-HQ, 1024 px."""

_base_ = '_base_/lse_faces.py'
title = 'LSE on PGGAN on CelebA-HQ'
model = dict(networks=dict(generator=dict(weights='weights/pggan_celebahq1024.pth')))  # genforce's model zoo
