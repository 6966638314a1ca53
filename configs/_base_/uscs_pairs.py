"""USCS of the paper: 50,000 pairs of `toolbox klish pairs` at 512 pixels, 10 passes, VGG-19.

No flips: clusters may know left from right, and the authors' flips mix them up. Where no cluster has a side,
transforms=[dict(type='HorizontalFlip')]; where parts 3 and 4 are two sides of a thing, with swap=[[3, 4]].
--quick plays with small networks on drawn portraits unless a root was named, and without VGG-19.
"""

_base_ = 'uscs.py'
_vgg = 'weights/vgg19-dcbb9e9d.pth'
files = {_vgg: 'VGG-19 of ImageNet; download.pytorch.org/models (548 MB)'}
train_dataloader = dict(
    batch_size=8, num_workers=8, persistent_workers=True,
    dataset=dict(type='Stream', masks=True, source=dict(type='MaskShards', root='data/pairs', split=None,
                                                        image_size=512)))
model = dict(networks=dict(
    generator=dict(image_size=512), discriminator=dict(image_size=512),
    perceptual=dict(type='VGG19Maps', weights=_vgg)))
train_cfg = dict(max_iters=10 * 50000 // 8)
_small = dict(n_parts='data:n_parts', image_size=64)
quick = dict(
    threads=1,
    train_dataloader=dict(
        batch_size=4, num_workers=0, persistent_workers=False,
        dataset=dict(source=dict(type='DrawnPortraits', image_size=64))),
    model=dict(networks=dict(
        generator=dict(latent_dim=32, channels=8, hidden=16, **_small),
        discriminator=dict(channels=16, layers=3, **_small),
        encoder=dict(latent_dim=32, image_size=64, channels=8),
        perceptual=dict(type='PortraitMaps'))),
    train_cfg=dict(max_iters=60),
    hooks=dict(checkpoints=dict(interval=30), samples=dict(interval=30)))
