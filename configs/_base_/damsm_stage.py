"""DAMSM before a game; its two encoders then stand still in the game.

With published encoders in place of the stage: --cfg-options "stages=[]"
model.networks.text_encoder.weights=FILE model.networks.image_encoder.weights=FILE
"""

_base_ = 'damsm.py'
before = dict(damsm=_base_._damsm)
stages = ['damsm']
model = dict(
    type='Game',
    networks=dict(
        text_encoder=dict(type='DamsmTextEncoder', n_tokens='data:n_tokens', weights=dict(stage='damsm')),
        image_encoder=dict(type='DamsmImageEncoder', weights=dict(stage='damsm'))),
    conditioner=dict(type='CaptionConditions', uses=dict(text_encoder='text_encoder')),
    fakes='shared')
quick = dict(
    before=dict(damsm=_base_._damsm_quick),
    model=dict(networks=dict(
        text_encoder=dict(embedding_dim=64, code_dim=64),
        image_encoder=dict(_base_._small_image_encoder, weights=dict(stage='damsm')))),
    train_cfg=dict(max_iters=400))
