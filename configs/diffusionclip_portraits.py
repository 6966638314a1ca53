"""DiffusionCLIP on the embedded Diffusion Autoencoder: Diff-IPL's game with one direction for all images."""

_base_ = 'diffipl_portraits.py'
title = 'DiffusionCLIP: drawn portraits become watercolours'
stages = []
model = dict(
    networks=dict(mapper=None),
    objectives=dict(diffusion=dict(term=dict(direction='fixed', labels=['drawing', 'watercolour']))))
