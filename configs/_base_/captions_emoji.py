"""The embedded emoji in sentences, some wordings of which are kept for measuring."""

_base_ = 'runtime.py'
_templates = ['{name}', 'an emoji of {name}', '{name}, {keywords}', '{name}, {class}']
train_dataloader = dict(
    batch_size=32,
    dataset=dict(
        type='CaptionStream', sizes=[16, 32], load=1.0, max_words=12,
        source=dict(type='Wordings', templates=_templates, each=10, unseen=2,
                    source=dict(type='EmbeddedEmoji', split='train', image_size=32))))
