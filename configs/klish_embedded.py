"""KLiSH, k-means, KASP and agglomerative clustering on the embedded generator of drawn portraits."""

_base_ = '_base_/klish.py'
title = 'Clusters of the embedded generator'
generator = dict(type='EmbeddedStyleGAN2')
# The rule of table II would keep 4x4 and 8x8 too, 256 of 368 channels: those say where a pixel is, and
# clusters become tiles.
_layers = ['16x16', '32x32', '64x64']
features = dict(size=64, truncation=0.7, layers=_layers)
final = 11  # as many as the portraits have parts
shown = [20, 11]
truth = dict(type='EmbeddedSegmenter')
quick = dict(
    features=dict(images=24, layers=_layers), clusterers=dict(klish=dict(clusters=40), kasp=dict(centres=40)),
    shown=[20, 11], final=11)
