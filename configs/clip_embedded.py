"""The toy CLIP that is shipped: emoji with names and keywords, Fashion-MNIST with class names."""

_base_ = ['_base_/runtime.py']
title = 'A small CLIP on the embedded data (one player, one core, about a quarter of an hour)'
threads = 1
_emoji = ['{name}'] * 2 + ['an emoji of {name}'] * 3 + ['{name}, {keywords}'] * 6 + ['{keywords}'] * 2 + [
    '{name}, {class}', '{class}: {keywords}', 'an emoji of {class}']
_fashion = ['{class}', 'a photo of a {class}', 'a picture of a {class}', 'grey {class}, clothing',
            '{class}, fashion']
model = dict(
    type='Game',
    networks=dict(clip=dict(type='EmbeddedClip', pretrained=False, frozen=False)),
    players=dict(clip=['clip']),
    phases=[dict(player='clip')],
    objectives=dict(captions=dict(type='ImageTextContrastive')))
train_dataloader = dict(
    batch_size=128,
    dataset=dict(type='CaptionedImages', sources=[
        dict(data=dict(type='EmbeddedFashion', split='train'), templates=_fashion, flip=True),
        dict(data=dict(type='EmbeddedEmoji', split='train', image_size=32), templates=_emoji, repeat=5)]))
optim_wrapper = dict(clip=dict(optimizer=dict(type='AdamW', lr=2e-3, betas=(0.9, 0.98), weight_decay=0.1)))
_steps = 1500
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=2e-5, by_epoch=False, begin=50, end=_steps, T_max=_steps - 50)]
train_cfg = dict(max_iters=_steps)
hooks = dict(samples=None, checkpoints=dict(interval=500))
quick = dict(train_cfg=dict(max_iters=60), hooks=dict(samples=None, checkpoints=dict(interval=30)))
