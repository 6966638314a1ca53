"""KLiSH and others on the embedded generator, and KLiSH that does not look at where a pixel lies."""

_base_ = 'klish_embedded.py'
title = 'Clusters of the embedded generator, with and without place'
clusterers = dict(klish_place=dict(type='KLiSH', clusters=100, drop_place=12))
quick = dict(clusterers=dict(klish_place=dict(clusters=40)))
