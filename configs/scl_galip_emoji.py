"""SCL on the small GALIP: pairs of one label, contrasted in the game; CLIP stays as it is."""

_base_ = 'toolbox/galip_emoji'
title = 'SCL on GALIP, emoji'
train_dataloader = dict(dataset=dict(
    type='LabelPairs', sizes=[32], load=1.0, max_words=24, tokens='clip',
    source=dict(
        type='Wordings', templates=['{name}', 'an emoji of {name}', '{name}, {keywords}', '{name}, {class}'],
        each=10, unseen=2, source=dict(type='EmbeddedEmoji', split='train', image_size=32))))
model = dict(
    branches=['images', 'partner'], shared_latents=True,
    objectives=dict(labels=dict(type='LabelContrast', encoder='clip', weight=0.2)))
