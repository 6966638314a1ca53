"""DM-GAN (Zhu et al. 2019) with the published settings: AttnGAN's game with a memory of words."""

_base_ = 'attngan.py'
_judge = dict(type='DMGANDiscriminator', channels=32)
model = dict(networks=dict(
    generator=dict(type='DMGANGenerator', channels=64), discriminator64=dict(_judge, image_size=64),
    discriminator128=dict(_judge, image_size=128), discriminator256=dict(_judge, image_size=256)))
quick = dict(model=dict(networks=_base_.quick.model.networks))
