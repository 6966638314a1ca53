"""Images on their way to CLIP and to torchvision's Inception, as in the published code: recorded arrays."""

from __future__ import annotations

import numpy as np
import torch

from tests.metrics.toys import golden
from toolbox.metrics.extractors.text_to_image import clip_input, galip_clip_input, legacy_inception_input

ARRAYS = golden("legacy_preprocess")
IMAGES = torch.from_numpy(ARRAYS["images_pm1"])
MEAN = np.array([0.48145466, 0.4578275, 0.40821073]).reshape(1, 3, 1, 1)  # CLIP's
STD = np.array([0.26862954, 0.26130258, 0.27577711]).reshape(1, 3, 1, 1)


def as_clip_sees_it(images: torch.Tensor) -> np.ndarray:
    """What :class:`toolbox.models.clip.Clip` makes of images of its own size."""
    return ((images.numpy() + 1) / 2 - MEAN) / STD


def test_clip() -> None:
    found = as_clip_sees_it(clip_input(IMAGES, (28, 28)))
    np.testing.assert_allclose(found, ARRAYS["clip_correct_28_bicubic_antialias"], atol=1e-5)
    assert clip_input(IMAGES, (24, 20)) is IMAGES


def test_clip_as_galip_feeds_it() -> None:
    found = galip_clip_input(IMAGES, (28, 28))
    np.testing.assert_allclose(as_clip_sees_it(found), ARRAYS["clip_galip_legacy_28_nearest"], atol=1e-5)
    assert found.min() >= 0  # half the range


def test_inception_as_in_the_scripts_of_dm_gan_and_galip() -> None:
    found = legacy_inception_input(IMAGES, 37)
    np.testing.assert_allclose(found, ARRAYS["fid_legacy_37_affine_out"], atol=1e-6)
