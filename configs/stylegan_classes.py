"""StyleGAN on a folder of class folders: classes enter the mapping network and choose the logit."""

_base_ = 'stylegan_folder.py'
title = 'StyleGAN, conditional'
model = dict(
    networks=dict(generator=dict(n_conditions='data:n_classes'),
                  discriminator=dict(n_conditions='data:n_classes')),
    conditioner=dict(type='ClassConditions', class_names='data:classes'))
