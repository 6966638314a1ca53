"""UFGS of cars: StyleGAN2 on LSUN cars, 14 clusters, two of them black bars; PASCAL VOC's cars to look at."""

_base_ = '_base_/ufgs.py'
title = 'UFGS of cars (Fig. 8)'
generator = dict(weights='weights/stylegan2-lsuncar-512x384.pkl')
clusters = dict(config='klish/klish_stylegan2_car', fit=1991, number=14)
# Rows 64 to 448 of 512 are kept; clusters that mostly lie outside become the background.
pairs = dict(border_rows=64)
pictures = dict(data=dict(type='PascalVOC', root='data/VOC2012', category='car', image_size=512), images=16)
segmenter = dict(
    model=dict(networks=dict(segmenter=dict(image_size=384))),
    train_dataloader=dict(dataset=dict(source=dict(image_size=384))))
quick = dict(
    generator=dict(type='EmbeddedStyleGAN2'), clusters=dict(config='klish/klish_embedded'),
    pairs=dict(border_rows=0), pictures=dict(data=dict(type='DrawnPortraits', split='test', images=16)))
