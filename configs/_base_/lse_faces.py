"""LSE on faces: the teacher is DeepLabV3 as configs/deeplab_celebamask.py trains it, at 512 pixels."""

_base_ = 'lse.py'
_teacher = 'runs/deeplab_celebamask'
files = {_teacher: 'a run of configs/deeplab_celebamask.py, which needs CelebAMask-HQ'}
_parts = [
    'background', 'skin', 'nose', 'eye_g', 'eye', 'brow', 'ear', 'mouth', 'u_lip', 'l_lip', 'hair', 'hat',
    'ear_r', 'neck', 'cloth']
model = dict(
    networks=dict(teacher=dict(
        type='DeepLabV3', part_names=_parts, image_size=512,
        weights=dict(checkpoint=_teacher, network='segmenter'))),
    objectives=dict(parts=dict(size=512)))
quick = dict(model=dict(
    networks=dict(teacher=dict(type='EmbeddedSegmenter')), objectives=dict(parts=dict(size=None))))
