"""The segmenter that is shipped: a small U-Net that learns the parts of drawn portraits from their masks."""

_base_ = ['_base_/runtime.py']
title = 'A small segmenter on drawn portraits (one player, one core, some minutes)'
threads = 1
model = dict(
    type='Game',
    networks=dict(segmenter=dict(type='UNet', part_names='data:part_names', channels=12, depth=3,
                                 image_size=64)),
    players=dict(segmenter=['segmenter']),
    phases=[dict(player='segmenter')],
    objectives=dict(masks=dict(type='PixelCrossEntropy')),
    average=dict(segmenter=dict(half_life_kimg=0.5, rampup=0.05)))
# Shifts, colours, blur and noise are not in the drawn images, but may be in what a generator makes of them.
train_dataloader = dict(
    batch_size=16,
    dataset=dict(type='Stream', source=dict(type='DrawnPortraits'), masks=True, transforms=[
        dict(type='WeakAugment', flip=0.5, shift=0.06),
        dict(type='PhotometricDistortion', brightness=20, contrast=0.2, saturation=0.3, hue=12),
        dict(type='BlurAndNoise', blur=1.0, noise=8.0)]))
optim_wrapper = dict(segmenter=dict(optimizer=dict(type='AdamW', lr=3e-3, weight_decay=1e-4)))
_steps = 1100
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, begin=0, end=20),
    dict(type='CosineAnnealingLR', eta_min=4e-5, begin=20, end=_steps, T_max=_steps - 20)]
train_cfg = dict(max_iters=_steps)
hooks = dict(
    samples=None, checkpoints=dict(interval=200),
    test=dict(type='SegmentationTest', data=dict(type='DrawnPortraits', split='test'), interval=550))
quick = dict(
    train_cfg=dict(max_iters=20), model=dict(networks=dict(segmenter=dict(channels=6))),
    hooks=dict(samples=None, checkpoints=dict(interval=10),
               test=dict(data=dict(images=50), interval=20)))
