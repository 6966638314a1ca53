"""SCL in both phases, and the losses that it is compared with: scl_*.py take the terms of one label loss.

Not established in the paper: the temperature and both weights, which are T2I_CL's (plugins/scl/README.md).
"""


def _terms(loss, weight, **arguments):
    """Both branches, and the loss between them."""
    classifier = dict(classifier='classifiers') if loss == 'ce' else {}
    term = dict(type='LabelContrast', label_loss=loss, temperature=0.5, weight=weight)
    return dict(branches=['images', 'partner'], objectives=dict(labels=dict(term, **classifier, **arguments)))


def _with_classifiers(model, encoder, **arguments):
    """Cross-entropy's classifiers, of codes as wide as the encoder's."""
    return dict(model, networks=dict(classifiers=dict(
        type='LabelClassifiers', classes='data:n_classes', uses=dict(encoder=encoder), **arguments)))


_label_losses = ('scl', 'unicl', 'ce', 'nt_xent', 'none')
_asked = '{{$LABEL_LOSS:scl}}'
if _asked not in _label_losses:
    raise ValueError(f'LABEL_LOSS={_asked}: it is one of {", ".join(_label_losses)}')
# AttnGAN, DM-GAN, SSA-GAN: DAMSM before the game
_encoders = dict(teaches='text_encoder', encoder='image_encoder', text_encoder='text_encoder')
_damsm_with = {loss: _terms(loss, 1.0, **_encoders) for loss in _label_losses}
_damsm_with['ce'] = dict(
    _with_classifiers(_damsm_with['ce'], 'image_encoder'),
    players=dict(encoders=['text_encoder', 'image_encoder', 'classifiers']))
_gan_with = {loss: dict(_terms(loss, 0.2), shared_latents=True) for loss in _label_losses}
_gan_with['ce'] = _with_classifiers(_gan_with['ce'], 'image_encoder', weights=dict(stage='damsm'))
# GALIP: CLIP stays as it is; what cross-entropy needs is trained before, on CLIP's codes
_galip_with = {
    loss: dict(_terms(loss, 0.2, encoder='discriminator'), shared_latents=True) for loss in _label_losses}
_galip_with['ce'] = _with_classifiers(_galip_with['ce'], 'clip', weights=dict(stage='classifiers'))
_galip_stages = {loss: [] for loss in _label_losses}
_galip_stages['ce'] = ['classifiers']
# GALIP with a CLIP whose two projections learn before, by InfoNCE and SCL (not established in the paper). Its
# blocks stay as they are, and so do the taps and the mapper, which see nothing but them.
_clip_blocks = [f'model.{part}' for part in (
    'token_embedding', 'positional_embedding', 'transformer', 'ln_final', 'logit_scale', 'visual.conv1',
    'visual.class_embedding', 'visual.positional_embedding', 'visual.ln', 'visual.transformer')]
_tuning_clip = dict(frozen=False, freeze_layers=_clip_blocks)
_tuning_terms = _terms('scl', 1.0, teaches='clip', encoder='clip', text_encoder='clip')
_tuning_model = dict(  # and the game's clip
    type='Game', players=dict(clip=['clip']), phases=[dict(player='clip')],
    branches=_tuning_terms['branches'],
    objectives=dict(captions=dict(type='ImageTextContrastive'), **_tuning_terms['objectives']))
_tuning = dict(
    train_dataloader=dict(batch_size=64),
    optim_wrapper=dict(clip=dict(optimizer=dict(type='Adam', lr=1e-4))),
    train_cfg=dict(max_iters=2000),
    hooks=dict(samples=None))
_classifiers_model = dict(  # and the game's clip
    _with_classifiers(_terms('ce', 1.0, teaches='classifiers', encoder='clip', text_encoder='clip'), 'clip'),
    type='Game', players=dict(classifiers=['classifiers']), phases=[dict(player='classifiers')])
_classifiers = dict(
    train_dataloader=dict(batch_size=64),
    optim_wrapper=dict(classifiers=dict(optimizer=dict(type='Adam', lr=1e-3))),
    train_cfg=dict(max_iters=2000),
    hooks=dict(samples=None))
