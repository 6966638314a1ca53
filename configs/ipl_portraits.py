"""IPL on the embedded generator of drawn portraits: everything is at hand, minutes on one core."""

_base_ = '_base_/ipl.py'
title = 'IPL: drawn portraits become watercolours'
threads = 1
_labels = ['drawing', 'watercolour']
_source = dict(source=dict(type='EmbeddedStyleGAN2'), clip=dict(type='PortraitClip'))
_mapper = dict(mapper=dict(names=_labels, latent_dim=128))
before = dict(prompts=dict(model=dict(networks=dict(_source, **_mapper))))
model = dict(networks=dict(_source, generator=dict(type='EmbeddedStyleGAN2'), **_mapper))
optim_wrapper = dict(generator=dict(optimizer=dict(lr=0.006)))
_judge = dict(type='PortraitJudge')  # no loss sees it
evaluation = dict(
    source='source', real=dict(type='DrawnPortraits', split='test', style='watercolour'),
    n_fake=1000, batch_size=50,
    metrics=dict(
        judged=dict(type='JudgedShare', extractor=_judge, answer='watercolour'),
        hair=dict(type='AnswersKept', extractor=_judge, question='hair'),
        frechet=dict(type='FID', extractor=_judge),
        diversity=dict(type='PairwiseDistance', extractor=_judge),
        edges=dict(type='StructuralConsistency', edges='sobel', size=64)))
quick = dict(
    evaluation=dict(n_fake=200), before=dict(prompts=dict(train_cfg=dict(max_iters=100))),
    train_cfg=dict(max_iters=100))
