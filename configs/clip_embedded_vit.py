"""The vision transformer of the embedded CLIP: its text encoder stands still, the image encoder learns."""

_base_ = ['clip_embedded.py']
title = 'A small vision transformer in the space of the embedded CLIP (one player, one core)'
_text = ['model.token_embedding', 'model.positional_embedding', 'model.transformer', 'model.ln_final',
         'model.text_projection']
model = dict(networks=dict(
    clip=dict(type='EmbeddedViT', pretrained=False, frozen=False, freeze_layers=_text)))
_steps = 1000
param_scheduler = [
    dict(type='LinearLR', start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(type='CosineAnnealingLR', eta_min=2e-5, by_epoch=False, begin=50, end=_steps, T_max=_steps - 50)]
train_cfg = dict(max_iters=_steps)
hooks = dict(checkpoints=dict(interval=250))
