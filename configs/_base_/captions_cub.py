"""CUB-200-2011 with captions, 256 pixels; emoji in sentences with --quick, where there is no such folder."""

_base_ = 'captions.py'
# elsewhere: --cfg-options train_dataloader.dataset.source.root=MY/BIRDS evaluation.real.root=MY/BIRDS
_birds = dict(type='CubCaptions', root='data/birds', image_size=256)
train_dataloader = dict(dataset=dict(source=_birds, max_words=18))
# CUB's Inception Score is of a network trained on birds, a TensorFlow file that is not read here
evaluation = dict(real=dict(_birds, split='test'))
# the authors' encoders, not those of the run; evaluation.metrics.r_precision=None without them
_r_precision = dict(
    type='RPrecision', off_by_one=True,
    encoder=dict(type='DamsmImageEncoder', weights='weights/bird/image_encoder200.pth'),
    text_encoder=dict(type='DamsmTextEncoder', n_tokens=5450, weights='weights/bird/text_encoder200.pth'))
# DAMSM: 200 epochs of 184 batches (the encoders published; 600 in the settings), lr 2 % less each, to a tenth
_damsm_here = dict(
    train_cfg=dict(max_iters=36_800),
    param_scheduler=dict(encoders=dict(
        type='StepLR', by_epoch=False, step_size=184, gamma=0.98, end=114 * 184 + 1)))
quick = dict(
    train_dataloader=dict(dataset=dict(source=_base_._quick_source)),
    evaluation=dict(real=_base_._quick_real))
