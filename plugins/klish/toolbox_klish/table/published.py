"""What the paper prints in Table IV, in percent, best of five runs.

MIoU is its evaluator's: see :func:`toolbox.metrics.functional.matched_iou_per_image`.
"""

from __future__ import annotations

ALGORITHMS = ("K-means", "KASP", "AHC (Ward)", "AHC (arccos)", "KLiSH")

_FFHQ, _CELEBA, _PGGAN = "StyleGAN2-FFHQ", "StyleGAN-CelebAHQ", "PGGAN-CelebAHQ"

# (generator, K, metric): K-means, KASP, AHC (Ward), AHC (arccos), KLiSH. K of the rows called "final" is
# printed for StyleGAN2-FFHQ alone (26, with its labels in Fig. 5); StyleGAN-CelebAHQ has no other rows above
# 20 than the final ones.
_ROWS: dict[tuple[str, str, str], tuple[float, ...]] = {
    (_FFHQ, "20", "AMI"): (64.8, 61.9, 62.9, 65.2, 70.6),
    (_FFHQ, "20", "ARI"): (57.1, 54.4, 60.7, 65.1, 70.5),
    (_FFHQ, "20", "MIoU"): (50.2, 40.3, 46.4, 37.7, 52.7),
    (_FFHQ, "26", "AMI"): (56.3, 59.1, 58.0, 68.0, 68.3),
    (_FFHQ, "26", "ARI"): (25.1, 37.2, 37.7, 69.2, 65.4),
    (_FFHQ, "26", "MIoU"): (52.6, 48.9, 46.9, 43.8, 56.3),
    (_FFHQ, "30", "AMI"): (56.3, 59.3, 57.7, 65.9, 67.6),
    (_FFHQ, "30", "ARI"): (25.1, 38.5, 35.7, 64.2, 64.6),
    (_FFHQ, "30", "MIoU"): (52.6, 53.2, 49.9, 45.5, 58.0),
    (_CELEBA, "20", "AMI"): (53.0, 55.5, 53.1, 62.5, 69.0),
    (_CELEBA, "20", "ARI"): (38.3, 38.1, 49.1, 67.0, 73.1),
    (_CELEBA, "20", "MIoU"): (30.9, 36.8, 30.5, 25.4, 41.5),
    (_CELEBA, "final", "AMI"): (51.9, 49.7, 43.4, 57.9, 63.6),
    (_CELEBA, "final", "ARI"): (28.2, 30.5, 21.4, 54.8, 61.8),
    (_CELEBA, "final", "MIoU"): (38.5, 33.5, 31.7, 27.7, 45.7),
    (_PGGAN, "20", "AMI"): (37.9, 39.3, 39.4, 37.1, 51.0),
    (_PGGAN, "20", "ARI"): (18.5, 19.4, 20.5, 30.1, 53.5),
    (_PGGAN, "20", "MIoU"): (15.2, 16.9, 16.4, 19.1, 23.1),
    (_PGGAN, "final", "AMI"): (35.1, 37.9, 37.6, 36.0, 51.0),
    (_PGGAN, "final", "ARI"): (11.5, 15.3, 15.6, 28.7, 53.5),
    (_PGGAN, "final", "MIoU"): (17.4, 19.0, 16.4, 19.2, 29.0),
    (_PGGAN, "30", "AMI"): (35.1, 36.2, 38.0, 38.1, 50.2),
    (_PGGAN, "30", "ARI"): (11.5, 12.4, 15.4, 30.7, 52.4),
    (_PGGAN, "30", "MIoU"): (17.4, 18.6, 18.4, 19.6, 29.8),
}

GENERATORS = (_FFHQ, _CELEBA, _PGGAN)


def published(generator: str, clusters: int | str, metric: str) -> dict[str, float]:
    """{algorithm: percent} of a row of Table IV; empty where the paper has none.

    Args:
        generator: one of GENERATORS.
        clusters: K, or 'final'.
        metric: 'AMI', 'ARI' or 'MIoU'.
    """
    row = _ROWS.get((generator, str(clusters), metric))
    return {} if row is None else dict(zip(ALGORITHMS, row, strict=True))


def rows_of(generator: str) -> list[tuple[str, str]]:
    """(K, metric) of every row the paper prints for a generator, in its order."""
    return [(clusters, metric) for name, clusters, metric in _ROWS if name == generator]
