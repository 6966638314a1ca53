"""Diff-IPL (ours where its authors say nothing): IPL's prompts on z_sem, and DiffusionCLIP's fine-tuning.

Published are DiffusionCLIP's numbers: 50 images, 5 passes, batch 1, 40 steps of inversion, 6 of rendering,
Adam with a learning rate that grows by 1.3 a pass, weights 3 and 1, no average. Its images are inverted to
half of the chain and not clipped; here to its end, as Diffusion Autoencoders are, and clipped.
"""

_base_ = 'ipl.py'
_images = 50
_latents = dict(type='Inverted', n=_images, steps=40)
before = dict(prompts=dict(model=dict(latents=_latents)))
model = dict(
    latents=_latents,
    networks=dict(generator=dict(freeze_layers=['encoder.'], train_steps=6)),
    phases=[dict(player='generator')],
    objectives=dict(direction=None, diffusion=dict(
        type='DiffusionClip', term=dict(type='DirectionalClip', direction='image_specific'), clip_weight=3.0,
        l1_weight=1.0)),
    average=dict(generator=None))
train_dataloader = dict(batch_size=1)
optim_wrapper = dict(generator=dict(optimizer=dict(lr=8e-6, betas=(0.9, 0.999))))
_steps = 5 * _images
param_scheduler = [dict(type='StepLR', by_epoch=False, step_size=_images, gamma=1.3, end=_steps + 1)]
train_cfg = dict(max_iters=_steps)
