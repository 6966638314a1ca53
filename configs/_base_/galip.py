"""GALIP (Tao et al. 2023) with the published settings: a frozen CLIP in generator and discriminator, 224 pixels."""

# OpenAI's ViT-B/32: a tag of open_clip, looked for on this machine (download=True fetches), or your file
model = dict(
    type='Game',
    networks=dict(
        clip=dict(type='Clip', architecture='ViT-B-32-quickgelu', weights='openai'),
        generator=dict(type='GALIPGenerator', uses=dict(clip='clip')),
        discriminator=dict(type='GALIPDiscriminator', uses=dict(clip='clip'))),
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
# crops of 224 pixels where the authors make CLIP shrink crops of 256; --amp fp16 is what they trained with
_data = dict(tokens='clip', max_words=77, sizes=[224], source=dict(image_size=224))
_evaluation = dict(
    real=dict(image_size=224),
    metrics=dict(clip_score=dict(type='ClipScore', uses=dict(encoder='clip'), preprocessing='galip_legacy')))
_data_quick = dict(max_words=24, sizes=[32])
quick = dict(
    model=dict(networks=dict(
        clip=dict(type='EmbeddedViT'),
        generator=dict(channels=8, image_size=32, latent_dim=32, code_channels=16, bridge_blocks=1,
                       prompted=(1, 2, 3, 4)),
        discriminator=dict(channels=16, taps=(1, 3, 5), clip_double_rescale=False))),
    train_cfg=dict(max_iters=400))
