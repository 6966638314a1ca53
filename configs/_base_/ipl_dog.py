"""IPL on the paper's dogs (its Table 1): StyleGAN2-ADA of AFHQ at 512 pixels, all else as on faces."""

_base_ = 'ipl_ffhq.py'
_weights = 'weights/afhqdog.pkl'
files = {_weights: "NVIDIA's; github.com/NVlabs/stylegan2-ada-pytorch"}
_source = dict(source=dict(weights=_weights))
before = dict(prompts=dict(model=dict(networks=_source)))
model = dict(networks=dict(_source, generator=dict(weights=_weights)))
# The paper has ID for dogs too, by a network that is not known: here it is CLIP's cosine, under its own name.
evaluation = dict(metrics=dict(id=None, likeness=dict(
    type='ImageSimilarity', n_fake=500,
    extractor=dict(type='ClipFeatures', clip=_base_._frozen['clip']))))
_drawn = dict(source=dict(type='EmbeddedStyleGAN2'))
quick = dict(
    before=dict(prompts=dict(model=dict(networks=_drawn))),
    model=dict(networks=dict(
        _drawn, generator=dict(type='EmbeddedStyleGAN2', freeze_layers=['mapping.']))),
    evaluation=dict(metrics=dict(likeness=None)))
