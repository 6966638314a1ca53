"""DAMSM before a game on the embedded emoji; its two encoders then stand still in the game."""

_base_ = 'captions_emoji.py'
_text = dict(type='DamsmTextEncoder', n_tokens='data:n_tokens', embedding_dim=64, code_dim=64)
_image = dict(type='SmallImageEncoder', code_dim=64, image_size=32)
before = dict(
    damsm=dict(
        model=dict(
            type='Game', networks=dict(text_encoder=_text, image_encoder=_image),
            players=dict(encoders=['text_encoder', 'image_encoder']),
            phases=[dict(player='encoders')],
            objectives=dict(match=dict(type='DamsmPretraining'))),
        train_dataloader=dict(batch_size=48),
        optim_wrapper=dict(encoders=dict(
            optimizer=dict(type='Adam', lr=2e-3, betas=(0.5, 0.999)),
            clip_grad=dict(max_norm=0.25, networks=['text_encoder']))),
        train_cfg=dict(max_iters=3000),
        hooks=dict(samples=None)))
stages = ['damsm']
model = dict(
    type='Game',
    networks=dict(
        text_encoder=dict(_text, weights=dict(stage='damsm')),
        image_encoder=dict(_image, weights=dict(stage='damsm'))),
    conditioner=dict(type='CaptionConditions', uses=dict(text_encoder='text_encoder')),
    fakes='shared')
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
quick = dict(before=dict(damsm=dict(train_cfg=dict(max_iters=300))), train_cfg=dict(max_iters=400))
