"""IPL on the paper's faces (its Table 1): StyleGAN2 of FFHQ at 1024 pixels, and OpenAI's CLIP.

``files`` says what is needed. evaluation.metrics.id=None, and so on, does without a metric's file. --quick
rehearses without any: the generator of drawn portraits, and a small CLIP to which the labels mean nothing.
"""

_base_ = 'ipl.py'
_weights = 'weights/stylegan2-ffhq-config-f.pt'
_inception = 'weights/inception_v3_google-0cc3c7bd.pth'
_hed = 'weights/network-bsds500.pytorch'
_faces = 'weights/model_ir_se50.pth'
files = {
    _weights: "rosinality's layout, as the authors take it; github.com/rosinality/stylegan2-pytorch",
    _inception: "Inception of IS; download.pytorch.org/models",
    _hed: "HED, of SCS; github.com/sniklaus/pytorch-hed",
    _faces: "IR-SE50, of ID; github.com/TreB1eN/InsightFace_Pytorch"}
_frozen = dict(
    source=dict(weights=_weights),
    clip=dict(type='Clip', architecture='ViT-B-32-quickgelu', weights='openai', resize='bicubic', crop=True))
before = dict(prompts=dict(model=dict(networks=_frozen)))
model = dict(
    networks=dict(_frozen, generator=dict(weights=_weights)),
    # two at a time: the same choice in a quarter of the memory
    phases=[dict(player='generator', moves=dict(type='AdaptiveLayers', at_once=2))])
# Sizes, numbers of images and SIFID's pictures are not published: `toolbox ipl table --paper` takes yours.
evaluation = dict(
    source='source', n_fake=5000, batch_size=4,
    metrics=dict(
        inception=dict(type='InceptionScore', extractor=dict(
            type='TorchvisionInception', weights=_inception, protocol='plain', layer='logits')),
        scs=dict(type='StructuralConsistency', weights=_hed, n_fake=500),
        id=dict(type='IdentitySimilarity', weights=_faces, n_fake=500)))
_small = dict(source=dict(type='EmbeddedStyleGAN2'), clip=dict(type='PortraitClip'))
_width = dict(latent_dim=128)
quick = dict(
    before=dict(prompts=dict(
        model=dict(networks=dict(_small, mapper=_width)), train_cfg=dict(max_iters=50))),
    model=dict(networks=dict(
        _small, mapper=_width, generator=dict(type='EmbeddedStyleGAN2', freeze_layers=['mapping.']))),
    evaluation=dict(n_fake=50, batch_size=25, metrics=dict(
        inception=None, id=None, scs=dict(edges='sobel', weights=None, n_fake=50))),
    train_cfg=dict(max_iters=50))
