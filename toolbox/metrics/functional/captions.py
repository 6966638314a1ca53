"""Whether images show what their captions say: R-precision and CLIP score. Silhouette of labelled codes.

Sources: Xu et al. 2018, "AttnGAN", section 4 (R-precision); Hessel et al. 2021, "CLIPScore".
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolbox.metrics.functional.checks import Floats, Integers, as_features, as_labels, same_width

ScoreForm = Literal["cosine", "clipscore", "torchmetrics"]
_BLOCK = 16  # images whose candidates are scored together: their codes stay in the cache
_LEAST_NORM = 1e-8  # product of two lengths, as the published code clamps it


def candidate_scores(
    image_codes: ArrayLike, text_codes: ArrayLike, own: ArrayLike, others: ArrayLike
) -> Floats:
    """Cosines (n, 1 + K) of each image with its own caption, which is column 0, and with K others.

    Args:
        image_codes: (n, D).
        text_codes: (m, D), one row a caption.
        own: (n,) row of each image's caption.
        others: (n, K) rows of the captions that it competes with.
    """
    images, texts = as_features(image_codes, "image_codes", 1), as_features(text_codes, "text_codes", 1)
    same_width(images, texts, ("image_codes", "text_codes"))
    rows = np.concatenate([np.asarray(own)[:, None], np.asarray(others)], axis=1)  # (n, 1 + K)
    if rows.shape[0] != len(images):
        raise ValueError(f"own and others have {len(rows)} rows: expected {len(images)}, one for each image")
    lengths, of_texts = np.linalg.norm(images, axis=1), np.linalg.norm(texts, axis=1)
    scores = np.empty(rows.shape)
    for start in range(0, len(images), _BLOCK):
        here = slice(start, start + _BLOCK)
        products = (texts[rows[here]] @ images[here, :, None])[..., 0]  # (n, C, D) with (n, D, 1)
        scores[here] = products / np.maximum(lengths[here, None] * of_texts[rows[here]], _LEAST_NORM)
    return scores


def retrieval_hits(scores: ArrayLike, k: int = 1) -> NDArray[np.bool_]:
    """(n,) whether column 0 of scores (n, C) is among the k largest of its row; ties count as hits."""
    values = np.asarray(scores)
    return (values[:, 1:] > values[:, :1]).sum(axis=1) < k


def first_place_shares(scores: ArrayLike) -> Floats:
    """(n,) share of first place of column 0 in each row of scores (n, C): 1 alone, 1/t among t equal ones.

    Means over rows are the expected hits where ties are broken at random.

    >>> first_place_shares([[2, 1, 0], [1, 1, 0], [0, 1, 0]]).tolist()
    [1.0, 0.5, 0.0]
    """
    values = np.asarray(scores, dtype=np.float64)
    own = values[:, :1]
    return np.where((values > own).any(axis=1), 0.0, 1 / (values == own).sum(axis=1))


def fold_statistics(
    hits: ArrayLike, folds: int = 10, shuffle_seed: int | None = 0, off_by_one: bool = False
) -> tuple[float, float]:
    """Mean over folds of their share of hits, and its standard deviation (ddof 0).

    Args:
        hits: (n,) of all images.
        folds: number of equal parts (i n // folds to (i + 1) n // folds).
        shuffle_seed: of the order before cutting; None keeps it.
        off_by_one: leave out each fold's last image, as DM-GAN's code does.

    Raises:
        ValueError: for fewer images than the folds need.
    """
    values = np.asarray(hits, dtype=np.float64)
    n, least = len(values), (2 if off_by_one else 1) * folds
    if n < least:
        raise ValueError(f"{folds} folds of {n} images: at least {least} images are needed")
    if shuffle_seed is not None:
        values = values[np.random.RandomState(shuffle_seed).permutation(n)]
    ends = [(i + 1) * n // folds - off_by_one for i in range(folds)]
    shares = np.array([values[i * n // folds : end].mean() for i, end in enumerate(ends)])
    return float(shares.mean()), float(shares.std())


def draw_others(own_groups: ArrayLike, pool_groups: ArrayLike, n_others: int, seed: int = 0) -> Integers:
    """(n, n_others) distinct rows of a pool of captions for each image, none of the image's own group.

    Args:
        own_groups: (n,) group of each image (its class, or its source image).
        pool_groups: (m,) group of each caption.
        n_others: captions for each image.
        seed: of the draw.

    Raises:
        ValueError: when there are fewer captions of other groups.
    """
    own, pool = np.asarray(own_groups), np.asarray(pool_groups)
    groups, counts = np.unique(pool, return_counts=True)
    of_own = {int(group): int(count) for group, count in zip(groups, counts, strict=True)}
    fewest = len(pool) - max((of_own.get(int(group), 0) for group in np.unique(own)), default=0)
    if fewest < n_others:
        raise ValueError(
            f"{n_others} captions of other groups are drawn for each image, and there are {fewest}: lower "
            f"candidates to at most {fewest + 1} (another protocol), or take more captions"
        )
    rng = np.random.RandomState(seed)
    rows = rng.randint(len(pool), size=(len(own), n_others))
    left = np.arange(len(own))  # images with a draw that does not count
    while len(left):
        part = rows[left]
        bad = _unfit(part, own[left], pool)
        part[bad] = rng.randint(len(pool), size=int(bad.sum()))
        rows[left] = part
        left = left[bad.any(axis=1)]
    return rows.astype(np.int64)


def _unfit(rows: NDArray[np.integer], own: NDArray, pool: NDArray) -> NDArray[np.bool_]:
    """(n, K) which draws are of the image's own group, or were drawn for it before."""
    order = np.argsort(rows, axis=1, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=1)
    repeated = np.zeros(rows.shape, dtype=bool)
    np.put_along_axis(repeated, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
    return repeated | (pool[rows] == own[:, None])


def pair_cosines(image_codes: ArrayLike, text_codes: ArrayLike) -> Floats:
    """(n,) cosine of each image with its own caption; codes (n, D) of both."""
    images, texts = as_features(image_codes, "image_codes"), as_features(text_codes, "text_codes")
    if images.shape != texts.shape:
        raise ValueError(
            f"image_codes {images.shape} and text_codes {texts.shape} must have one shape: caption i belongs "
            "to image i"
        )
    return (_unit(images) * _unit(texts)).sum(axis=1)


def clip_score(cosines: ArrayLike, form: ScoreForm = "cosine") -> float:
    """One number of the cosines (n,) of images with their captions.

    Args:
        cosines: as of :func:`pair_cosines`.
        form: 'cosine': the mean (GALIP); 'clipscore': the mean of 2.5 max(cos, 0) (Hessel et al.);
            'torchmetrics': 100 times the mean, at least 0.

    Raises:
        ValueError: for an unknown form.
    """
    values = np.asarray(cosines, dtype=np.float64)
    if form == "cosine":
        return float(values.mean())
    if form == "clipscore":
        return float(2.5 * np.maximum(values, 0).mean())
    if form == "torchmetrics":
        return max(0.0, float(100 * values.mean()))
    raise ValueError(f"form={form!r}: allowed are {', '.join(map(repr, get_args(ScoreForm)))}")


def label_silhouette(
    features: ArrayLike,
    labels: ArrayLike,
    distance: str = "cosine",
    most: int | None = None,
    seed: int = 0,
) -> float:
    """Mean silhouette of features (n, D) under labels (n,), in [-1, 1]; higher: labels lie further apart.

    Args:
        features, labels: of images.
        distance: any of scikit-learn's, such as 'cosine' or 'euclidean'.
        most: images that are drawn where there are more (the cost grows with their square).
        seed: of that draw.

    Raises:
        ValueError: for fewer than two labels, or as many labels as images.
    """
    from sklearn.metrics import silhouette_score

    rows, truth = as_features(features, "features"), as_labels(labels, "labels")
    size = None if most is None or most >= len(rows) else most
    return float(silhouette_score(rows, truth, metric=distance, sample_size=size, random_state=seed))


def _unit(rows: Floats) -> Floats:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
