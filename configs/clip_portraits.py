"""The toy CLIP of portraits that is shipped: EmbeddedClip trained on, on portraits in seven styles."""

_base_ = ['_base_/runtime.py']
title = 'A small CLIP on drawn portraits in seven styles (one player, one core, some minutes)'
threads = 1
_styles = ['as drawn', 'pencil sketch', 'neon', 'watercolour', 'pixel art', 'comic', 'black and white']
# The 79 sentences around a label that adaptation averages over: what surrounds the style must mean nothing.
_shown = ['bad photo', 'sculpture', 'low resolution photo', 'rendering', 'cropped photo', 'tattoo',
          'bright photo', 'dark photo', 'drawing', 'close-up photo', 'black and white photo', 'painting',
          'pixelated photo', 'jpeg corrupted photo', 'blurry photo', 'photo', 'good photo', 'doodle',
          'sketch', 'rendition']
_looks = ['hard to see', 'clean', 'dirty', 'cool', 'large', 'nice', 'weird', 'small']
_made = ['embroidered', 'plastic', 'origami', 'toy', 'cartoon', 'plushie']
_the = ('a', 'the')
_around = ([' '.join(['a', x, 'of', d, '{name}.']) for x in _shown for d in _the]
           + [' '.join([x, 'of', d, '{name}.']) for x in ('graffiti', 'art', 'itap') for d in _the]
           + [' '.join(['a photo of', d, x, '{name}.']) for x in _looks for d in _the]
           + [' '.join([d, x, '{name}.']) for x in _made for d in _the]
           + [d + ' {name} in a video game.' for d in _the]
           + ['a photo of my {name}.', 'a photo of one {name}.', 'itap of my {name}.'])
model = dict(
    type='Game',
    networks=dict(clip=dict(type='PortraitClip', pretrained=False, frozen=False)),
    players=dict(clip=['clip']),
    phases=[dict(player='clip')],
    objectives=dict(captions=dict(type='ImageTextContrastive')))
train_dataloader = dict(
    batch_size=128,
    dataset=dict(type='CaptionedImages', sources=[
        dict(data=dict(type='DrawnPortraits', style=_styles, captioned=True), flip=True,
             templates=_around + ['{name}'] * 10 + ['{caption}'] * 220)]))
optim_wrapper = dict(clip=dict(optimizer=dict(type='AdamW', lr=2e-3, betas=(0.9, 0.98), weight_decay=0.1)))
_steps = 600
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=30),
    dict(type='CosineAnnealingLR', eta_min=2e-5, by_epoch=False, begin=30, end=_steps, T_max=_steps - 30)]
train_cfg = dict(max_iters=_steps)
hooks = dict(samples=None, checkpoints=dict(interval=200))
quick = dict(train_cfg=dict(max_iters=30), hooks=dict(samples=None, checkpoints=dict(interval=15)))
