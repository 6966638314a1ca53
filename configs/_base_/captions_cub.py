"""CUB-200-2011 with captions, 256 pixels; emoji in sentences with --quick, where there is no such folder."""

_base_ = 'runtime.py'
# elsewhere: --cfg-options train_dataloader.dataset.source.root=MY/BIRDS evaluation.real.root=MY/BIRDS
_birds = dict(type='CubCaptions', root='data/birds', image_size=256)
train_dataloader = dict(
    num_workers=4, persistent_workers=True,
    dataset=dict(type='CaptionStream', source=_birds, sizes=[64, 128, 256], max_words=18,
                 transforms=[dict(type='HorizontalFlip')]))
# as published: 30,000 images. fid is TTUR's (SSA-GAN), fid_legacy what DM-GAN and GALIP report. The Inception
# Score of CUB is of a network trained on birds, a TensorFlow file that is not read here.
evaluation = dict(
    real=dict(_birds, split='test'), n_fake=30000, batch_size=100,
    extractor=dict(type='FirstAvailable', candidates=[
        dict(type='FIDInception', weights='weights/pt_inception-2015-12-05-6726825d.pth'),
        dict(type='EmbeddedClipFeatures')]),
    metrics=dict(
        fid=dict(type='FID'),
        fid_legacy=dict(type='FID', extractor=dict(
            type='TorchvisionInception', protocol='legacy_t2i',
            weights='weights/inception_v3_google-0cc3c7bd.pth'))))
# the authors' encoders, not those of the run; evaluation.metrics.r_precision=None without them
_r_precision = dict(
    type='RPrecision', exclude='caption', off_by_one=True,
    encoder=dict(type='DamsmImageEncoder', weights='weights/bird/image_encoder200.pth'),
    text_encoder=dict(type='DamsmTextEncoder', n_tokens=5450, weights='weights/bird/text_encoder200.pth'))
# DAMSM: 200 epochs of 184 batches (the encoders published; 600 in the settings), 2 % less per epoch to a tenth
_damsm_length = dict(
    train_cfg=dict(max_iters=36_800),
    param_scheduler=dict(encoders=dict(
        type='StepLR', by_epoch=False, step_size=184, gamma=0.98, end=114 * 184 + 1)))
_emoji = dict(type='EmbeddedEmoji', image_size=32)
_sentences = ['{name}', 'an emoji of {name}', '{name}, {keywords}', '{name}, {class}']
quick = dict(
    train_dataloader=dict(
        batch_size=32, num_workers=0, persistent_workers=False,
        dataset=dict(
            source=dict(image_size=32, fallback=dict(
                type='Wordings', templates=_sentences, each=5, source=_emoji)),
            sizes=[8, 16, 32])),
    evaluation=dict(
        real=dict(image_size=32, fallback=_emoji), n_fake=1000,
        extractor=dict(type='EmbeddedClipFeatures'), metrics=dict(fid_legacy=None)))
