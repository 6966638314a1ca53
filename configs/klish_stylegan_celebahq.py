"""KLiSH on StyleGAN on CelebA-HQ, 1024 px."""

_base_ = '_base_/klish.py'
title = 'KLiSH on StyleGAN on CelebA-HQ'
generator = dict(weights='weights/stylegan_celebahq1024.pth')  # genforce's model zoo
features = dict(layers=[9, 11, 13, 15, 17])
final = 30  # the paper's final rows of table IV stand in place of K = 30
quick = dict(generator=dict(type='EmbeddedStyleGAN2'))
