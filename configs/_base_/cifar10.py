"""CIFAR-10; the embedded part of Fashion-MNIST where CIFAR-10 cannot be had, and for --quick."""

_base_ = 'runtime.py'
train_dataloader = dict(
    batch_size=320, num_workers=2, persistent_workers=True,  # five discriminator steps of 64
    dataset=dict(
        type='Stream',
        source=dict(type='CIFAR10', root='data/cifar10', train=True, download=True,
                    fallback=dict(type='EmbeddedFashion')),
        transforms=[dict(type='HorizontalFlip')]))
evaluation = dict(
    real=dict(type='CIFAR10', root='data/cifar10', train=True, download=True,
              fallback=dict(type='EmbeddedFashion')),
    test=dict(type='CIFAR10', root='data/cifar10', train=False, download=True,
              fallback=dict(type='EmbeddedFashion', split='test')),
    n_fake=50000, batch_size=250, bn='standing',
    extractor=dict(type='FirstAvailable', candidates=[
        dict(type='FIDInception', weights='weights/pt_inception-2015-12-05-6726825d.pth'),
        dict(type='EmbeddedClipFeatures')]),
    metrics=dict(fid=dict(type='FID'), kid=dict(type='KID'), intra_fid=dict(type='IntraFID'),
                 precision_recall=dict(type='PrecisionRecall'),
                 inception_score=dict(type='InceptionScore', probe=True),
                 accuracy=dict(type='ClassifierAccuracy')))
quick = dict(
    train_dataloader=dict(
        batch_size=64, num_workers=0, persistent_workers=False,
        dataset=dict(source=dict(type='EmbeddedFashion'))),
    evaluation=dict(real=dict(type='EmbeddedFashion'), test=dict(type='EmbeddedFashion', split='test'),
                    n_fake=2000, batch_size=100,
                    extractor=dict(type='EmbeddedClipFeatures')))
