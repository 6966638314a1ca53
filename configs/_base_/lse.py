"""The linear semantic extractor with KLiSH's numbers: 50,000 images, each seen once, labelled by a teacher.

Adam 1e-3, a tenth after 40 %, as the authors' code; it also sums gradients over 4, then 64 images, which the
paper does not say. Steps are of one image.
"""

# What every run shares, as in the core's base: a plugin's wheel holds no other.
seed = 0
model = dict(
    type='Game',
    networks=dict(lse=dict(type='LSE', uses=dict(generator='generator', teacher='teacher'))),
    players=dict(lse=['lse']),
    phases=[dict(player='lse')],
    objectives=dict(parts=dict(type='TapCrossEntropy', truncation=0.7)))
train_dataloader = dict(batch_size=1, dataset=None)
optim_wrapper = dict(lse=dict(optimizer=dict(type='Adam', lr=1e-3)))
train_cfg = dict(max_iters=50000)
param_scheduler = [dict(type='MultiStepLR', by_epoch=False, milestones=[20000], gamma=0.1)]
hooks = dict(
    checkpoints=dict(type='Checkpoints', interval=5000, keep=2),
    journal=dict(type='Journal'),
    progress=dict(type='ProgressBar'))
# Without the files (each config says so) the embedded generator and segmenter show how a run goes, not what
# it reaches.
quick = dict(
    threads=1,
    train_dataloader=dict(batch_size=4),
    train_cfg=dict(max_iters=100),
    param_scheduler=[dict(type='MultiStepLR', by_epoch=False, milestones=[40], gamma=0.1)],
    hooks=dict(checkpoints=dict(interval=50)))
