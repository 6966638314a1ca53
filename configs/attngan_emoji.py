"""A small AttnGAN on the embedded emoji: two images of each caption, 16 and 32 pixels, DAMSM before."""

_base_ = '_base_/captions_emoji.py'
title = 'AttnGAN on emoji'
_encoders = dict(
    text_encoder=dict(type='DamsmTextEncoder', n_tokens='data:n_tokens', embedding_dim=64, code_dim=64),
    image_encoder=dict(type='SmallImageEncoder', code_dim=64, image_size=32))
before = dict(
    damsm=dict(
        model=dict(
            type='Game', networks=_encoders,
            players=dict(encoders=['text_encoder', 'image_encoder']),
            phases=[dict(player='encoders')],
            objectives=dict(match=dict(type='DamsmPretraining'))),
        train_dataloader=dict(batch_size=48),
        optim_wrapper=dict(encoders=dict(
            optimizer=dict(type='Adam', lr=2e-3, betas=(0.5, 0.999)), clip_grad=dict(max_norm=0.25))),
        train_cfg=dict(max_iters=3000),
        hooks=dict(samples=None)))
stages = ['damsm']
model = dict(
    type='Game',
    networks=dict(
        text_encoder=dict(_encoders['text_encoder'], weights=dict(stage='damsm')),
        image_encoder=dict(_encoders['image_encoder'], weights=dict(stage='damsm')),
        generator=dict(type='AttnGANGenerator', channels=16, residual_blocks=1, image_size=32, stages=2,
                       noise_dim=32, condition_dim=32, code_dim=64),
        discriminator16=dict(type='AttnGANDiscriminator', channels=32, image_size=16, code_dim=64),
        discriminator32=dict(type='AttnGANDiscriminator', channels=32, image_size=32, code_dim=64)),
    players=dict(discriminator=['discriminator16', 'discriminator32'], generator=['generator']),
    phases=[dict(player='discriminator'), dict(player='generator')],
    fakes='shared',
    conditioner=dict(type='CaptionConditions', uses=dict(text_encoder='text_encoder')),
    objectives=dict(
        at16=dict(type='MatchingAwareAdversarial', discriminator='discriminator16'),
        at32=dict(type='MatchingAwareAdversarial', discriminator='discriminator32'),
        damsm=dict(type='DamsmMatching', weight=5.0),
        kl=dict(type='ConditioningKL')),
    average=dict(generator=dict(decay=0.999, average_buffers=False)))
optim_wrapper = dict(
    discriminator=dict(optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999))),
    generator=dict(optimizer=dict(type='Adam', lr=2e-4, betas=(0.5, 0.999))))
train_cfg = dict(max_iters=20000)
evaluation = dict(
    real=dict(type='EmbeddedEmoji', split='train', image_size=32),
    n_fake=1000, batch_size=100, extractor=dict(type='EmbeddedClipFeatures'),
    metrics=dict(fid=dict(type='FID'), kid=dict(type='KID'), precision_recall=dict(type='PrecisionRecall')))
quick = dict(
    before=dict(damsm=dict(train_cfg=dict(max_iters=300))),
    train_cfg=dict(max_iters=400),
    model=dict(average=dict(generator=dict(decay=0.98))))
