"""LSE on scenes: the teacher is a network of ADE20K's 150 classes, restricted to some, at 256 pixels.

Which classes KLiSH keeps for each generator is not in its paper. Name yours:
--cfg-options model.networks.teacher.parts="['bed', 'wall', ...]"
"""

_base_ = 'lse.py'
model = dict(
    networks=dict(teacher=dict(
        type='ChosenParts', parts=None,
        segmenter=dict(type='ADE20KDeepLabV3', weights='weights/deeplabv3_ade20k.pth'))),
    objectives=dict(parts=dict(size=256)))
