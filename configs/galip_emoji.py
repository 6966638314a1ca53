"""A small GALIP on the embedded emoji: CLIP's vision transformer in generator and discriminator."""

_base_ = '_base_/captions_emoji.py'
title = 'GALIP on emoji'
train_dataloader = dict(dataset=dict(tokens='clip', max_words=24, sizes=[32]))
model = dict(
    type='Game',
    networks=dict(
        clip=dict(type='EmbeddedViT'),
        generator=dict(type='GALIPGenerator', channels=8, image_size=32, latent_dim=32, code_channels=16,
                       bridge_blocks=1, prompted=(1, 2, 3, 4), uses=dict(clip='clip')),
        discriminator=dict(type='GALIPDiscriminator', channels=16, taps=(1, 3, 5), clip_double_rescale=False,
                           uses=dict(clip='clip'))),
    players=dict(discriminator=['discriminator'], generator=['generator']),
    phases=[dict(player='discriminator'), dict(player='generator')],
    fakes='shared',
    conditioner=dict(type='CaptionConditions', uses=dict(text_encoder='clip')),
    objectives=dict(
        adversarial=dict(type='MatchingHinge', wrap=True),
        penalty=dict(type='MatchingAwarePenalty'),
        similarity=dict(type='ClipSimilarity', weight=4.0)))
optim_wrapper = dict(
    discriminator=dict(optimizer=dict(type='Adam', lr=4e-4, betas=(0.0, 0.9))),
    generator=dict(optimizer=dict(type='Adam', lr=1e-4, betas=(0.0, 0.9))))
train_cfg = dict(max_iters=20000)
evaluation = dict(
    real=dict(type='EmbeddedEmoji', split='train', image_size=32),
    captions=dict(
        type='Wordings', templates=['{name}', 'an emoji of {name}', '{name}, {keywords}', '{name}, {class}'],
        each=10, unseen=2, part='unseen', source=dict(type='EmbeddedEmoji', split='train', image_size=32)),
    n_fake=1000, batch_size=100, extractor=dict(type='EmbeddedClipFeatures'),
    metrics=dict(
        fid=dict(type='FID'), kid=dict(type='KID'), precision_recall=dict(type='PrecisionRecall'),
        r_precision=dict(type='RPrecision', encoder=dict(type='EmbeddedClip'))))
quick = dict(train_cfg=dict(max_iters=400))
