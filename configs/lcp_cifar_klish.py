"""KLiSH's clusters in place of soft k-means: 20 of each class, merged by linear separability."""

_base_ = 'lcp_cifar.py'
title = 'KLiSH inside every class'
# With fewer labelled images than the features have dimensions a plane can tell any cluster from the others,
# and the order of merges means little.
model = dict(conditioner=dict(clusterer=dict(type='KLiSH', first=20)))
quick = dict(model=dict(conditioner=dict(clusterer=dict(first=8))))
