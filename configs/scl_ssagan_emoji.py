"""SCL on the small SSA-GAN: pairs of one label, contrasted in DAMSM and in the game."""

_base_ = 'toolbox/ssagan_emoji'
title = 'SCL on SSA-GAN, emoji'
train_dataloader = dict(dataset=dict(
    type='LabelPairs', sizes=[32], load=1.0, max_words=12,
    source=dict(
        type='Wordings', templates=['{name}', 'an emoji of {name}', '{name}, {keywords}', '{name}, {class}'],
        each=10, unseen=2, source=dict(type='EmbeddedEmoji', split='train', image_size=32))))
before = dict(damsm=dict(model=dict(
    branches=['images', 'partner'],
    objectives=dict(labels=dict(type='LabelContrast', teaches='text_encoder', encoder='image_encoder',
                                text_encoder='text_encoder', weight=1.0)))))
model = dict(
    branches=['images', 'partner'], shared_latents=True,
    objectives=dict(labels=dict(type='LabelContrast', weight=0.2)))
