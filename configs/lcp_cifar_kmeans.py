"""k-means as KLiSH starts from it, in place of soft k-means; lcp_cifar_hard.py has LCP's own."""

_base_ = 'lcp_cifar.py'
title = 'k-means (Lloyd) inside every class'
model = dict(conditioner=dict(clusterer=dict(type='LloydKMeans')))
