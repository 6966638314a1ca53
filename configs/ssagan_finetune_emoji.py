"""The small SSA-GAN, in which the encoders go on learning on real images (finetune_encoder).

Codes are made before an iteration's first step, without gradients: generator and discriminator move no
encoder. What learns is in train mode, so the text encoder's dropout is off: their codes have no noise.
"""

_base_ = 'ssagan_emoji.py'
title = 'SSA-GAN on emoji, encoders fine-tuned'
model = dict(
    networks=dict(text_encoder=dict(dropout=0.0)),
    players=dict(encoders=['text_encoder', 'image_encoder']),
    phases=[dict(player='encoders'),
            dict(player='discriminator', objectives=['adversarial']),
            dict(player='discriminator', objectives=['penalty']),
            dict(player='generator')],
    objectives=dict(
        match=dict(type='DamsmPretraining', gamma1=5.0),
        damsm=dict(weight=0.1)))
optim_wrapper = dict(encoders=dict(optimizer=dict(type='Adam', lr=4e-5, betas=(0.0, 0.9))))
