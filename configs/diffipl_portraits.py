"""Diff-IPL on the embedded autoencoder of drawn portraits: everything is at hand, minutes on one core."""

_base_ = '_base_/diffipl.py'
title = 'Diff-IPL: drawn portraits become watercolours'
threads = 1
_labels = ['drawing', 'watercolour']
_images = dict(type='DrawnPortraits', image_size=32)
_frozen = dict(
    source=dict(type='EmbeddedDiffAE', steps=6), clip=dict(type='EmbeddedClip'),
    mapper=dict(names=_labels, latent_dim=64))
before = dict(prompts=dict(
    model=dict(latents=dict(images=_images, n=64), networks=dict(_frozen)),
    train_dataloader=dict(batch_size=16), train_cfg=dict(max_iters=150)))
model = dict(
    latents=dict(images=_images, n=64),
    networks=dict(_frozen, generator=dict(type='EmbeddedDiffAE', train_steps=10)),
    average=dict(generator=dict(decay=0.95)))
train_dataloader = dict(batch_size=4)
optim_wrapper = dict(generator=dict(optimizer=dict(lr=2e-4)))
param_scheduler = []
train_cfg = dict(max_iters=200)
quick = dict(
    before=dict(prompts=dict(train_cfg=dict(max_iters=30), model=dict(latents=dict(n=16)))),
    model=dict(latents=dict(n=16)), train_cfg=dict(max_iters=40))
