"""Images with captions, 256 pixels, measured as published; captions_cub.py and captions_coco.py go on."""

_base_ = 'runtime.py'
train_dataloader = dict(
    num_workers=4, persistent_workers=True,
    dataset=dict(type='CaptionStream', sizes=[64, 128, 256], transforms=[dict(type='HorizontalFlip')]))
# 30,000 images, of test images' captions. fid is TTUR's (SSA-GAN), fid_legacy what DM-GAN and GALIP report.
evaluation = dict(
    captions='real', n_fake=30000, batch_size=100,
    extractor=dict(type='FirstAvailable', candidates=[
        dict(type='FIDInception', weights='weights/pt_inception-2015-12-05-6726825d.pth'),
        dict(type='EmbeddedClipFeatures')]),
    metrics=dict(
        fid=dict(type='FID'),
        fid_legacy=dict(type='FID', extractor=dict(
            type='TorchvisionInception', protocol='legacy_t2i',
            weights='weights/inception_v3_google-0cc3c7bd.pth'))))
# of --quick: emoji, where there is no folder of captions
_emoji = dict(type='EmbeddedEmoji', image_size=32)
_sentences = ['{name}', 'an emoji of {name}', '{name}, {keywords}', '{name}, {class}']
_quick_source = dict(
    image_size=32, fallback=dict(type='Wordings', templates=_sentences, each=5, source=_emoji))
_quick_real = dict(image_size=32, fallback=_emoji)
quick = dict(
    train_dataloader=dict(
        batch_size=32, num_workers=0, persistent_workers=False, dataset=dict(sizes=[8, 16, 32])),
    evaluation=dict(
        n_fake=1000, extractor=dict(type='EmbeddedClipFeatures'), metrics=dict(fid_legacy=None)))
