"""LCP-GAN on CIFAR-10 with 10 % of the labels: BigGAN, soft clusters, learnt cluster prompts."""

_base_ = 'toolbox/biggan_cifar'
title = 'LCP-GAN on BigGAN: soft clusters, learnt cluster prompts'
train_dataloader = dict(dataset=dict(split=dict(labelled_per_class=400, seed=0)))
# The stage before the game: a classifier learns from labelled images and its own pseudo-labels (FixMatch).
before = dict(
    classifier=dict(
        model=dict(
            type='Game',
            networks=dict(classifier=dict(type='WideResNet', depth=28, width=2, n_classes='data:n_classes')),
            players=dict(classifier=['classifier']),
            phases=[dict(player='classifier')],
            objectives=dict(pseudo=dict(type='PseudoLabelCrossEntropy')),
            average=dict(classifier=dict(decay=0.999))),
        train_dataloader=dict(
            batch_size=512,
            sampler=dict(labelled_fraction=0.125), dataset=dict(transforms=[dict(type='TwoViews')])),
        optim_wrapper=dict(classifier=dict(
            optimizer=dict(type='SGD', lr=0.03, momentum=0.9, nesterov=True, weight_decay=5e-4))),
        train_cfg=dict(max_iters=60000),
        hooks=dict(samples=None)))
stages = ['classifier']
_features = dict(type='FirstAvailable', candidates=[
    dict(type='ResNetFeatures', arch='resnet50', weights='weights/resnet50.pth'),
    dict(type='EmbeddedClipFeatures')])
model = dict(
    networks=dict(
        classifier=dict(type='WideResNet', depth=28, width=2, n_classes='data:n_classes',
                        weights=dict(stage='classifier')),
        clip=dict(type='FirstAvailable', candidates=[
            dict(type='Clip', architecture='ViT-B-32-quickgelu', weights='openai', download=True),
            dict(type='EmbeddedClip')]),
        prompt_discriminator=dict(
            type='PromptDiscriminator', uses=dict(clip='clip'), hidden=256,
            prompts=dict(type='ClusterPrompts', class_names='data:classes', clusters='conditioner:clusters',
                         context=16))),
    players=dict(discriminator=['discriminator', 'prompt_discriminator']),
    conditioner=dict(
        type='ClusterConditions', class_names='data:classes', classifier='classifier', clusters=5,
        extractor=_features, clusterer=dict(type='SoftKMeans', delta='auto'),
        sampler=dict(type='EmpiricalCoefficients')),
    objectives=dict(prompts=dict(type='HingeAdversarial', discriminator='prompt_discriminator', joint=True,
                                 weight=dict(to=1.0, end=2000))))
evaluation = dict(metrics=dict(consistency=dict(type='ClusterConsistency')))
quick = dict(
    train_dataloader=dict(dataset=dict(split=dict(labelled_per_class=40))),
    before=dict(classifier=dict(
        model=dict(networks=dict(classifier=dict(type='SmallConvNet', n_classes='data:n_classes')),
                   objectives=dict(pseudo=dict(threshold=0.9)),
                   average=dict(classifier=dict(decay=0.95))),
        train_dataloader=dict(batch_size=64, sampler=dict(labelled_fraction=0.5)),
        optim_wrapper=dict(classifier=dict(optimizer=dict(type='AdamW', lr=2e-3, weight_decay=0.05))),
        train_cfg=dict(max_iters=300))),
    model=dict(
        networks=dict(
            classifier=dict(type='SmallConvNet', n_classes='data:n_classes',
                            weights=dict(stage='classifier')),
            clip=dict(type='EmbeddedClip'),
            prompt_discriminator=dict(hidden=64, prompts=dict(context=4))),
        conditioner=dict(clusters=3, extractor=dict(type='EmbeddedClipFeatures')),
        # the small CLIP judges so coarsely that at full weight all images of a cluster become one
        augment=dict(discriminators=None),
        objectives=dict(prompts=dict(weight=dict(to=0.25, end=200)))))
