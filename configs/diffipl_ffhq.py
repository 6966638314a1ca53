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
    source=dict(weights=_weights, steps=6, inversion_steps=40),
    clip=dict(type='Clip', architecture='ViT-B-32-quickgelu', pretrained='openai'),
    mapper=dict(names=_labels, latent_dim=512))
before = dict(prompts=dict(model=dict(latents=dict(images=_images), networks=dict(_frozen))))
model = dict(latents=dict(images=_images), networks=dict(_frozen, generator=dict(weights=_weights)))
