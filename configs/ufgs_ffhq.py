"""UFGS of faces: StyleGAN2 on FFHQ, 26 clusters, DeepLabV3 at 512 px, CelebAMask-HQ to match and measure."""

_base_ = '_base_/ufgs.py'
title = 'UFGS of faces (Tables V and VI)'
generator = dict(weights='weights/stylegan2-ffhq-1024x1024.pkl')
clusters = dict(config='klish/klish_stylegan2_ffhq', fit=1993, number=26)
# The labelled images, in folders images/ and masks/ with part_names.txt, are named with --masks.
quick = dict(generator=dict(type='EmbeddedStyleGAN2'), clusters=dict(config='klish/klish_embedded'))
