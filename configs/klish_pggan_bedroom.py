"""KLiSH on PGGAN on LSUN bedrooms, 256 px."""

_base_ = '_base_/klish.py'
title = 'KLiSH on PGGAN on LSUN bedrooms'
generator = dict(weights='weights/pggan_bedroom256.pth')  # genforce's model zoo
features = dict(layers=[7, 9, 11, 13], truncation=1.0)
final = 20  # unknown in the paper
quick = dict(generator=dict(type='EmbeddedStyleGAN2'))
