"""The judge that is shipped: a small classifier of drawn portraits by style and hair."""

_base_ = ['_base_/runtime.py']
title = 'A small classifier of drawn portraits in seven styles (one player, one core, some minutes)'
threads = 1
_styles = ['as drawn', 'pencil sketch', 'neon', 'watercolour', 'pixel art', 'comic', 'black and white']
model = dict(
    type='Game',
    networks=dict(classifier=dict(type='PlacedConvNet', n_classes='data:n_classes')),
    players=dict(classifier=['classifier']),
    phases=[dict(player='classifier')],
    objectives=dict(labels=dict(type='CrossEntropy')),
    average=dict(classifier=dict(half_life_kimg=0.5, rampup=0.05)))
# Shifts, colours, blur and noise are not in the drawn images, but may be in what a generator makes of them.
train_dataloader = dict(
    batch_size=64,
    dataset=dict(
        type='Stream',
        source=dict(type='FactorClasses', source=dict(type='DrawnPortraits', style=_styles),
                    factors=['style', 'class']),
        transforms=[
            dict(type='WeakAugment', flip=0.5, shift=0.06),
            dict(type='PhotometricDistortion', brightness=20, contrast=0.2, saturation=0.2, hue=12),
            dict(type='BlurAndNoise', blur=0.8, noise=8.0)]))
optim_wrapper = dict(classifier=dict(optimizer=dict(type='AdamW', lr=3e-3, weight_decay=1e-3)))
_steps = 500
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=20),
    dict(type='CosineAnnealingLR', eta_min=3e-5, by_epoch=False, begin=20, end=_steps, T_max=_steps - 20)]
train_cfg = dict(max_iters=_steps)
hooks = dict(samples=None, checkpoints=dict(interval=200))
quick = dict(train_cfg=dict(max_iters=20), hooks=dict(samples=None, checkpoints=dict(interval=10)))
