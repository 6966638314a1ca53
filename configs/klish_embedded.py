"""KLiSH, k-means, KASP and agglomerative clustering on the embedded generator of drawn portraits; nothing to download."""

_base_ = '_base_/klish.py'
title = 'Clusters of the embedded generator'
generator = dict(type='EmbeddedStyleGAN2')
features = dict(size=64, truncation=0.7)
final = 11  # as many as the portraits have parts
shown = [20, 11]
truth = dict(type='EmbeddedSegmenter')
quick = dict(features=dict(images=24), clusterers=dict(klish=dict(clusters=40), kasp=dict(centres=40)), shown=[20, 11], final=11)
