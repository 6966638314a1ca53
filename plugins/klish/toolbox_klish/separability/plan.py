"""What is compared, with how much of everything."""

from __future__ import annotations

from dataclasses import dataclass

from toolbox.ranges import check_in, check_positive, check_whole, given

METHODS = ("LSE", "SVM", "centroids")


@dataclass(frozen=True)
class Budget:
    """Numbers of a comparison; defaults for one core, the paper's in brackets.

    Args:
        steps: of Adam (50,000; its code sums the gradients of up to 64 images in the end).
        batch_size: images of a step (1).
        test_images: new ones to judge on (10,000).
        truncation: of all images (0.7).
        size: pixels of the masks (512 for faces, 256 for scenes); None = those of the images.
        lr: of Adam, a tenth after 40 % of the steps (0.001).
        C: weight of the SVM's hinge (5000).

    Raises:
        ValueError: for a number that makes no sense.
    """

    steps: int = 1000
    batch_size: int = 4
    test_images: int = 500
    truncation: float = 0.7
    size: int | None = None
    lr: float = 1e-3
    C: float = 5000.0

    def __post_init__(self) -> None:
        counts = dict(steps=self.steps, batch_size=self.batch_size, test_images=self.test_images)
        check_whole(1, **counts, **given(size=self.size))
        check_in("(0, 1]", truncation=self.truncation)
        check_positive(lr=self.lr, C=self.C)


#: Tables I and III, mIoU in percent. {generator: (SVM, LSE, centroids or None)}
PUBLISHED: dict[str, tuple[float, float, float | None]] = {
    "StyleGAN2-FFHQ": (81.7, 82.7, 49.6),
    "StyleGAN2-Bedroom": (43.5, 45.2, None),
    "StyleGAN2-Church": (33.7, 35.2, None),
    "StyleGAN-CelebAHQ": (72.2, 73.8, 46.6),
    "StyleGAN-Bedroom": (30.9, 37.3, None),
    "StyleGAN-Church": (31.4, 34.8, None),
    "PGGAN-CelebAHQ": (66.4, 69.3, 41.8),
    "PGGAN-Bedroom": (27.7, 31.1, None),
    "PGGAN-Church": (45.4, 47.8, None),
}
