"""COCO 2014 with captions, 256 pixels; emoji in sentences with --quick, where there is no such folder."""

_base_ = 'captions.py'
# elsewhere: --cfg-options train_dataloader.dataset.source.root=MY/COCO evaluation.real.root=MY/COCO
_coco = dict(type='CocoCaptions', root='data/coco', image_size=256)
train_dataloader = dict(dataset=dict(source=_coco, max_words=12))
evaluation = dict(
    real=dict(_coco, split='test'),
    metrics=dict(inception_score=dict(type='InceptionScore', extractor=dict(
        type='FIDInception', layer='logits_unbiased',
        weights='weights/pt_inception-2015-12-05-6726825d.pth'))))
# the authors' encoders, not those of the run; evaluation.metrics.r_precision=None without them
_r_precision = dict(
    type='RPrecision', exclude='group', off_by_one=True,
    encoder=dict(type='DamsmImageEncoder', weights='weights/coco/image_encoder100.pth'),
    text_encoder=dict(type='DamsmTextEncoder', n_tokens=27297, weights='weights/coco/text_encoder100.pth'))
# DAMSM: 100 epochs of 1,724 batches (82,783 images; how many the published lists have is not known)
_damsm_here = dict(
    model=dict(objectives=dict(match=dict(class_masking=False))),  # to the authors each image is a class
    train_cfg=dict(max_iters=172_400),
    train_dataloader=dict(dataset=dict(max_words=15)),
    param_scheduler=dict(encoders=dict(
        type='StepLR', by_epoch=False, step_size=1724, gamma=0.98, end=114 * 1724 + 1)))
quick = dict(
    train_dataloader=dict(dataset=dict(source=_base_._quick_source)),
    evaluation=dict(real=_base_._quick_real, metrics=dict(inception_score=None)))
