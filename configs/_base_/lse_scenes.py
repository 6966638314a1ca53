"""LSE on scenes: the teacher is a network of ADE20K's 150 classes, restricted to some, at 256 pixels.

Which classes KLiSH keeps for each generator is not in its paper. Name yours:
--cfg-options model.networks.teacher.parts="['bed', 'wall', ...]"
"""

_base_ = 'lse.py'
_teacher = 'weights/deeplabv3_ade20k.pth'
files = {_teacher: "the state dict of torchvision's deeplabv3_resnet50 with 150 classes, trained on ADE20K"}
model = dict(
    networks=dict(teacher=dict(
        type='ChosenParts', parts=None,
        segmenter=dict(type='ADE20KDeepLabV3', weights=_teacher))),
    objectives=dict(parts=dict(size=256)))
quick = dict(model=dict(
    networks=dict(teacher=dict(type='EmbeddedSegmenter')), objectives=dict(parts=dict(size=None))))
