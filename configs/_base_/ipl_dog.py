"""IPL on the paper's dogs (its Table 1): StyleGAN2-ADA of AFHQ at 512 pixels, and OpenAI's CLIP.

``files`` says what is needed. evaluation.metrics.scs=None, and so on, does without a metric's file. --quick
rehearses without any: the generator of drawn portraits, and a small CLIP to which the labels mean nothing.
"""

_base_ = 'ipl.py'
_weights = 'weights/afhqdog.pkl'
_inception = 'weights/inception_v3_google-0cc3c7bd.pth'
_hed = 'weights/network-bsds500.pytorch'
files = {
    _weights: "NVIDIA's; github.com/NVlabs/stylegan2-ada-pytorch",
    _inception: "Inception of IS; download.pytorch.org/models",
    _hed: "HED, of SCS; github.com/sniklaus/pytorch-hed"}
_frozen = dict(
    source=dict(weights=_weights),
    clip=dict(type='Clip', architecture='ViT-B-32-quickgelu', weights='openai', resize='bicubic', crop=True))
before = dict(prompts=dict(model=dict(networks=_frozen)))
model = dict(
    networks=dict(_frozen, generator=dict(weights=_weights)),
    # two at a time: the same choice in a quarter of the memory
    phases=[dict(player='generator', moves=dict(type='AdaptiveLayers', at_once=2))])
# The paper has ID for dogs too, by a network that is not known: here it is CLIP's cosine, under its own name.
# Sizes, numbers of images and SIFID's pictures are not published: `toolbox ipl table --paper` takes yours.
evaluation = dict(
    source='source', n_fake=5000, batch_size=4,
    metrics=dict(
        inception=dict(type='InceptionScore', extractor=dict(
            type='TorchvisionInception', weights=_inception, protocol='plain', layer='logits')),
        scs=dict(type='StructuralConsistency', weights=_hed, n_fake=500),
        likeness=dict(
            type='ImageSimilarity', n_fake=500, extractor=dict(type='ClipFeatures', clip=_frozen['clip']))))
_small = dict(source=dict(type='EmbeddedStyleGAN2'), clip=dict(type='PortraitClip'))
_width = dict(latent_dim=128)
quick = dict(
    before=dict(prompts=dict(
        model=dict(networks=dict(_small, mapper=_width)), train_cfg=dict(max_iters=50))),
    model=dict(networks=dict(
        _small, mapper=_width, generator=dict(type='EmbeddedStyleGAN2', freeze_layers=['mapping.']))),
    evaluation=dict(
        n_fake=50, batch_size=25, metrics=dict(
            inception=None, likeness=None, scs=dict(edges='sobel', weights=None, n_fake=50))),
    train_cfg=dict(max_iters=50))
