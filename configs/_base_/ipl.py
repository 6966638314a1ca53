"""IPL's two stages with the authors' numbers: latents are mapped to prompts, then the generator follows."""

# What every run shares, as in the core's base: a plugin's wheel holds no other.
seed = 0
_labels = ['photo', 'disney']  # of the source and the target domain
_mapper = dict(type='LatentPrompts', uses=dict(clip='clip'), names=_labels)
_adam = dict(type='Adam', lr=0.05, betas=(0.9, 0.999))
before = dict(
    prompts=dict(
        model=dict(
            type='Game', generator='source',
            networks=dict(mapper=_mapper),
            players=dict(mapper=['mapper']),
            phases=[dict(player='mapper')],
            objectives=dict(
                contrast=dict(type='PromptContrast'),
                domain=dict(type='PromptDomain', weight=1.0))),  # lambda
        train_dataloader=dict(batch_size=32, dataset=None),
        optim_wrapper=dict(mapper=dict(optimizer=_adam)),
        train_cfg=dict(max_iters=300),
        hooks=dict(samples=None)))
stages = ['prompts']
# Adam as StyleGAN2's lazy regularisation every 4th iteration leaves it: (0, 0.99) to the power of 4/5.
_slow = dict(type='Adam', lr=0.002 * 4 / 5, betas=(0.0, 0.99**(4 / 5)))
model = dict(
    type='Game',
    networks=dict(
        generator=dict(freeze_layers=['mapping.']),
        mapper=dict(_mapper, weights=dict(stage='prompts'))),
    players=dict(generator=['generator']),
    phases=[dict(player='generator', moves=dict(type='AdaptiveLayers'))],
    objectives=dict(direction=dict(type='DirectionalClip')),
    average=dict(generator=dict(decay=0.99)))
train_dataloader = dict(batch_size=2, dataset=None)
optim_wrapper = dict(generator=dict(optimizer=_slow))
train_cfg = dict(max_iters=300)
hooks = dict(
    checkpoints=dict(type='Checkpoints', interval=100, keep=2),
    journal=dict(type='Journal'),
    samples=dict(type='SampleGrid', interval=50, columns=8),
    progress=dict(type='ProgressBar'))
quick = dict(hooks=dict(checkpoints=dict(interval=50)))
