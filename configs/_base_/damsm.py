"""DAMSM's own game, which damsm_*.py play and damsm_stage.py plays before another (AttnGAN, sec. 3.2).

The authors make a new optimiser every epoch; here it is one. As in theirs, only the text encoder's gradients
are clipped.
"""

# torchvision's, of ImageNet: https://download.pytorch.org/models/inception_v3_google-0cc3c7bd.pth
_inception = 'weights/inception_v3_google-0cc3c7bd.pth'
_damsm = dict(
    model=dict(
        type='Game',
        networks=dict(
            text_encoder=dict(type='DamsmTextEncoder', n_tokens='data:n_tokens'),
            image_encoder=dict(type='DamsmImageEncoder', inception=_inception)),
        players=dict(encoders=['text_encoder', 'image_encoder']),
        phases=[dict(player='encoders')],
        objectives=dict(match=dict(type='DamsmPretraining'))),
    train_dataloader=dict(batch_size=48, dataset=dict(source=dict(image_size=299), sizes=[299])),
    optim_wrapper=dict(encoders=dict(
        optimizer=dict(type='Adam', lr=2e-3, betas=(0.5, 0.999)),
        clip_grad=dict(max_norm=0.25, networks=['text_encoder']))),
    hooks=dict(samples=None))
_small_image_encoder = dict(type='SmallImageEncoder', code_dim=64, image_size=32)
_damsm_quick = dict(
    model=dict(networks=dict(text_encoder=dict(embedding_dim=64, code_dim=64),
                             image_encoder=_small_image_encoder)),
    train_dataloader=dict(dataset=dict(source=dict(image_size=32), sizes=[32])),
    train_cfg=dict(max_iters=300))
