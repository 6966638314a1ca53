"""KLiSH on PGGAN on CelebA-HQ, 1024 px."""

_base_ = '_base_/klish.py'
title = 'KLiSH on PGGAN on CelebA-HQ'
generator = dict(weights='weights/pggan_celebahq1024.pth')  # genforce's model zoo
features = dict(layers=[9, 11, 13, 15, 17], truncation=1.0)
final = 30  # K lies between 20 and 30; the paper does not say where
quick = dict(generator=dict(type='EmbeddedStyleGAN2'))
