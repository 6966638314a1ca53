"""What UFGS configs share (KLiSH, section 5.1): clusters, pairs, segmenter; and their small version."""

command = 'klish segment'
clusters = dict(clusterer='klish', fit=1990)
# 50,000 images at psi = 0.7 with the noise of the weights, seed 1113: what the authors' scripts take.
pairs = dict(images=50000)
matching = dict(images=100, protocol='paper')
# DeepLabV3 with ResNet50 from scratch: 20 epochs of the 40,000 pairs of the part 'train' (authors' code: 10),
# Adam at 1e-3, a tenth of it for the second half. A flip would exchange what lies left and right, and
# clusters may have a side: no flip here. The authors flip with probability 1/2.
_steps = 25000
segmenter = dict(
    seed=0,
    model=dict(
        type='Game',
        networks=dict(segmenter=dict(type='DeepLabV3', part_names='data:part_names', image_size=512)),
        players=dict(segmenter=['segmenter']),
        phases=[dict(player='segmenter')],
        objectives=dict(masks=dict(type='PixelCrossEntropy'))),
    train_dataloader=dict(
        batch_size=32,
        dataset=dict(type='Stream', source=dict(type='MaskShards', split='train', image_size=512), masks=True,
                     transforms=[dict(type='PhotometricDistortion')])),
    optim_wrapper=dict(segmenter=dict(optimizer=dict(type='Adam', lr=1e-3))),
    param_scheduler=[dict(type='MultiStepLR', milestones=[_steps // 2], gamma=0.1)],
    train_cfg=dict(max_iters=_steps),
    hooks=dict(
        checkpoints=dict(type='Checkpoints', interval=1000, keep=2),
        journal=dict(type='Journal'),
        progress=dict(type='ProgressBar')))
# The small version: a U-Net at 64 pixels on a few hundred pairs.
_quick_steps = 60
quick = dict(
    gan=dict(quick=True),
    clusters=dict(quick=True, number=6),
    pairs=dict(images=100, size=64, shard=50),
    matching=dict(images=50),
    segmenter=dict(
        threads=1,
        model=dict(networks=dict(segmenter=dict(type='UNet', part_names='data:part_names', channels=8,
                                                depth=3, image_size=64))),
        train_dataloader=dict(batch_size=8, dataset=dict(source=dict(image_size=64))),
        param_scheduler=[dict(type='MultiStepLR', milestones=[_quick_steps // 2], gamma=0.1)],
        train_cfg=dict(max_iters=_quick_steps),
        hooks=dict(checkpoints=dict(interval=20))))
