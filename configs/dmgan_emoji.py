"""A small DM-GAN on the embedded emoji: AttnGAN's game with a memory of words in place of the attention."""

_base_ = 'attngan_emoji.py'
title = 'DM-GAN on emoji'
model = dict(networks=dict(
    generator=dict(type='DMGANGenerator', channels=16, residual_blocks=1, image_size=32, stages=2,
                   noise_dim=32, condition_dim=32, code_dim=64),
    discriminator16=dict(type='DMGANDiscriminator', channels=16, image_size=16, code_dim=64),
    discriminator32=dict(type='DMGANDiscriminator', channels=16, image_size=32, code_dim=64)))
