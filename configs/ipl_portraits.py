"""IPL on the embedded generator of drawn portraits: everything is at hand, minutes on one core."""

_base_ = '_base_/ipl.py'
title = 'IPL: drawn portraits become watercolours'
threads = 1
_labels = ['drawing', 'watercolour']
_source = dict(source=dict(type='EmbeddedStyleGAN2'), clip=dict(type='PortraitClip'))
_mapper = dict(mapper=dict(names=_labels, latent_dim=128))
before = dict(prompts=dict(model=dict(networks=dict(_source, **_mapper))))
model = dict(networks=dict(_source, generator=dict(type='EmbeddedStyleGAN2'), **_mapper))
optim_wrapper = dict(generator=dict(optimizer=dict(lr=0.006)))
quick = dict(before=dict(prompts=dict(train_cfg=dict(max_iters=100))), train_cfg=dict(max_iters=100))
