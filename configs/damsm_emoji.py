"""DAMSM on the embedded emoji: captions and images in one space (AttnGAN's first stage)."""

_base_ = '_base_/captions_emoji.py'
title = 'DAMSM on emoji'
model = dict(
    type='Game',
    networks=dict(
        text_encoder=dict(type='DamsmTextEncoder', n_tokens='data:n_tokens', embedding_dim=64, code_dim=64),
        image_encoder=dict(type='SmallImageEncoder', code_dim=64, image_size=32)),
    players=dict(encoders=['text_encoder', 'image_encoder']),
    phases=[dict(player='encoders')],
    objectives=dict(match=dict(type='DamsmPretraining')))
optim_wrapper = dict(encoders=dict(
    optimizer=dict(type='Adam', lr=2e-3, betas=(0.5, 0.999)),
    clip_grad=dict(max_norm=0.25, networks=['text_encoder'])))
train_dataloader = dict(batch_size=48)
train_cfg = dict(max_iters=3000)
_templates = ['{name}', 'an emoji of {name}', '{name}, {keywords}', '{name}, {class}']
_words = dict(type='Wordings', templates=_templates, each=10, unseen=2,
              source=dict(type='EmbeddedEmoji', split='train', image_size=32))
hooks = dict(
    samples=None,
    retrieval=dict(type='RetrievalTest', interval=1000, data=dict(
        type='CaptionStream', load=1.0, max_words=12, vocabulary=_words, source=dict(_words, part='unseen'))))
quick = dict(train_cfg=dict(max_iters=300), hooks=dict(retrieval=dict(interval=150)))
