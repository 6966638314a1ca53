"""What every run shares: the seed, and the hooks by name (None removes one)."""

seed = 0
hooks = dict(
    checkpoints=dict(type='Checkpoints', interval=5000, keep=2),
    journal=dict(type='Journal'),
    samples=dict(type='SampleGrid', interval=2500, columns=10),
    progress=dict(type='ProgressBar'))
quick = dict(hooks=dict(checkpoints=dict(interval=500), samples=dict(interval=300)))
