"""The linear semantic extractor on PGGAN on LSUN bedrooms, 256 px."""

_base_ = '_base_/lse_scenes.py'
title = 'LSE on PGGAN on LSUN bedrooms'
model = dict(networks=dict(generator=dict(weights='weights/pggan_bedroom256.pth')))  # genforce's model zoo
