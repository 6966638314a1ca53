"""DeepLabV3 on CelebAMask-HQ, 15 parts of faces at 512 pixels: KLiSH's teacher and judge of faces.

Numbers of its section 4.1; its code drops the rate after 15 epochs, and changes colours with probability 2/3.
`toolbox data FOLDER --layout celebamask` says what a folder lacks. --quick plays with a small
network, on drawn portraits unless a root was named.
"""

_base_ = ['_base_/runtime.py']
title = 'DeepLabV3 on CelebAMask-HQ'
model = dict(
    type='Game',
    networks=dict(segmenter=dict(type='DeepLabV3', part_names='data:part_names', image_size=512)),
    players=dict(segmenter=['segmenter']),
    phases=[dict(player='segmenter')],
    objectives=dict(masks=dict(type='PixelCrossEntropy')))
# The official split has 24,183 faces to train on: 755 batches an epoch. Parts of both sides are one, so that
# flips change no meaning.
_faces = dict(type='CelebAMaskHQ', root='data/CelebAMask-HQ', image_size=512)
train_dataloader = dict(
    batch_size=32, num_workers=8, persistent_workers=True,
    dataset=dict(
        type='Stream', masks=True, source=_faces,
        transforms=[dict(type='HorizontalFlip'), dict(type='PhotometricDistortion')]))
optim_wrapper = dict(segmenter=dict(optimizer=dict(type='Adam', lr=1e-3)))
param_scheduler = [dict(type='MultiStepLR', by_epoch=False, milestones=[10 * 755], gamma=0.1)]
train_cfg = dict(max_iters=20 * 755)
hooks = dict(
    samples=None, checkpoints=dict(interval=755),
    test=dict(
        type='SegmentationTest', batch_size=16, interval=5 * 755,
        data=dict(_faces, split='val')))
quick = dict(
    threads=1,
    train_dataloader=dict(
        batch_size=4, num_workers=0, persistent_workers=False,
        dataset=dict(source=dict(type='DrawnPortraits', image_size=64))),
    model=dict(networks=dict(segmenter=dict(
        type='UNet', part_names='data:part_names', channels=6, depth=3, image_size=64))),
    train_cfg=dict(max_iters=20),
    param_scheduler=[dict(type='MultiStepLR', by_epoch=False, milestones=[10], gamma=0.1)],
    hooks=dict(
        samples=None, checkpoints=dict(interval=10),
        test=dict(data=dict(type='DrawnPortraits', split='test', image_size=64, images=20), interval=20)))
