"""DiffusionCLIP on faces: Diff-IPL without prompts, one direction for all; needs its files (diffipl_ffhq.py).

With the autoencoder of Diff-IPL, not DiffusionCLIP's own networks, and its CLIP, ViT-B/16.
"""

_base_ = 'diffipl_ffhq.py'
title = 'DiffusionCLIP: photographs to Disney, FFHQ-256 Diffusion Autoencoder'
stages = []
model = dict(
    networks=dict(mapper=None, clip=dict(architecture='ViT-B-16-quickgelu')),
    objectives=dict(diffusion=dict(term=dict(direction='fixed', labels=['photo', 'disney']))))
quick = dict(model=dict(
    networks=dict(mapper=None, clip=dict(type='PortraitClip')),
    objectives=dict(diffusion=dict(term=dict(labels=['drawing', 'watercolour'])))))
