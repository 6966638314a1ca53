"""UFGS offline: the embedded generator, its clusters, a small U-Net; drawn portraits to match and measure."""

_base_ = '_base_/ufgs.py'
title = 'UFGS of drawn portraits, offline'
generator = dict(type='EmbeddedStyleGAN2')
clusters = dict(config='klish/klish_embedded', number=20, options={'features.images': 32})
pairs = dict(images=1000, size=64, shard=250)
matching = dict(data=dict(type='DrawnPortraits', split='train', image_size=64, images=100))
evaluation = dict(data=dict(type='DrawnPortraits', split='test', image_size=64, images=300))
pictures = dict(data=dict(type='DrawnPortraits', split='test', image_size=64, images=8))
# Half of the images' size is a sixth of the time, and gives more for the same time; parts are measured at 64.
# So few iterations want a higher rate than the paper's 1e-3.
_steps = 600
segmenter = dict(
    threads=1,
    model=dict(networks=dict(segmenter=dict(
        _delete_=True, type='UNet', part_names='data:part_names', channels=8, depth=2, image_size=32))),
    train_dataloader=dict(batch_size=8, dataset=dict(source=dict(image_size=32, cache=True))),
    optim_wrapper=dict(segmenter=dict(optimizer=dict(lr=5e-3))),
    param_scheduler=[dict(type='MultiStepLR', milestones=[_steps // 2], gamma=0.1)],
    train_cfg=dict(max_iters=_steps),
    hooks=dict(checkpoints=dict(interval=100)))
quick = dict(
    clusters=dict(options=dict(_delete_=True)),
    evaluation=dict(data=dict(images=50)),
    segmenter=dict(
        model=dict(networks=dict(segmenter=dict(depth=2, image_size=32))),
        train_dataloader=dict(dataset=dict(source=dict(image_size=32))),
        param_scheduler=[dict(type='MultiStepLR', milestones=[30], gamma=0.1)]))
