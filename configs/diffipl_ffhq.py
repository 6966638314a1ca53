"""Diff-IPL on faces, photographs to Disney: needs files of two projects, and faces.

ffhq256_autoenc/last.ckpt   github.com/phizaz/diffae (checkpoints, "ffhq256_autoenc")
data/celebahq               aligned faces of 256 pixels or more, such as CelebA-HQ
ViT-B/32                    OpenAI's CLIP, through open_clip
"""

_base_ = '_base_/diffipl.py'
title = 'Diff-IPL: photographs to Disney, FFHQ-256 Diffusion Autoencoder'
_labels = ['photo', 'disney']
_weights = 'weights/ffhq256_autoenc/last.ckpt'
_images = dict(type='ImageFolder', root='data/celebahq', image_size=256)
_frozen = dict(
    source=dict(type='DiffAE', weights=_weights, steps=6, inversion_steps=40),
    clip=dict(type='Clip', architecture='ViT-B-32-quickgelu', weights='openai', resize='bicubic', crop=True),
    mapper=dict(names=_labels, latent_dim=512))
before = dict(prompts=dict(model=dict(latents=dict(images=_images), networks=dict(_frozen))))
model = dict(
    latents=dict(images=_images),
    networks=dict(_frozen, generator=dict(type='DiffAE', weights=_weights)))
# In a small, without any of these files: the embedded autoencoder on drawn portraits.
_small = dict(
    source=dict(type='EmbeddedDiffAE', steps=6), clip=dict(type='PortraitClip'),
    mapper=dict(names=['drawing', 'watercolour'], latent_dim=64))
_drawn = dict(images=dict(type='DrawnPortraits', image_size=32), n=16)
quick = dict(
    before=dict(prompts=dict(
        model=dict(latents=_drawn, networks=dict(_small)),
        train_dataloader=dict(batch_size=16), train_cfg=dict(max_iters=30))),
    model=dict(
        latents=_drawn,
        networks=dict(
            _small, generator=dict(type='EmbeddedDiffAE', train_steps=10, freeze_layers=['encoder.']))),
    train_cfg=dict(max_iters=40))
