"""StyleGAN-NADA on the paper's faces: the second stage of IPL alone, all else equal."""

_base_ = 'ipl_ffhq.py'
before = None
stages = []
model = dict(networks=dict(mapper=None), objectives=dict(direction=dict(direction='fixed')))
quick = dict(before=None, model=dict(networks=dict(mapper=None)))
