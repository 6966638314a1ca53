"""R-precision, CLIP score and silhouette: reference values, the draw of candidates, errors."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import silhouette_score

from tests.metrics.toys import golden
from toolbox.metrics.functional import (
    candidate_scores,
    clip_score,
    draw_others,
    fold_statistics,
    label_silhouette,
    pair_cosines,
    retrieval_hits,
)

RETRIEVAL = golden("r_precision")
PAIRS = golden("clip_score")
SCORES = candidate_scores(*(RETRIEVAL[key] for key in ("image_emb", "text_emb", "pos_idx", "neg_idx")))


def test_scores_of_candidates() -> None:
    np.testing.assert_allclose(SCORES, RETRIEVAL["cos_scores"], atol=1e-12)


def test_hits() -> None:
    np.testing.assert_array_equal(retrieval_hits(SCORES), RETRIEVAL["hit"] > 0)
    assert retrieval_hits(SCORES).mean() == RETRIEVAL["r_precision"]
    assert retrieval_hits(SCORES, k=5).mean() == RETRIEVAL["top5"]
    np.testing.assert_array_equal(retrieval_hits(np.ones((3, 9))), [True] * 3)  # ties


def test_folds_and_the_published_off_by_one() -> None:
    hits = RETRIEVAL["hit"]
    found = fold_statistics(hits, shuffle_seed=None)
    np.testing.assert_allclose(found, (RETRIEVAL["split10_mean"], RETRIEVAL["split10_std_ddof0"]), atol=1e-12)
    found = fold_statistics(hits, shuffle_seed=None, off_by_one=True)
    expected = RETRIEVAL["dmgan_offbyone_mean"], RETRIEVAL["dmgan_offbyone_std"]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert fold_statistics(hits, folds=7) != fold_statistics(hits, folds=7, shuffle_seed=1)


def test_equal_codes_are_found_and_random_ones_by_chance() -> None:
    rng = np.random.RandomState(0)
    codes, groups = rng.standard_normal((400, 16)), np.arange(400) % 40
    others = draw_others(groups, groups, 99)
    own = np.arange(400)
    assert retrieval_hits(candidate_scores(codes, codes, own, others)).all()
    found = retrieval_hits(candidate_scores(rng.standard_normal((400, 16)), codes, own, others)).mean()
    assert found < 0.03  # 0.01 is expected


def test_candidates_are_distinct_and_of_other_groups() -> None:
    pool = np.repeat(np.arange(5), 4)
    own = np.array([0, 1, 1, 7])  # no caption is of group 7
    others = draw_others(own, pool, 16, seed=3)
    for group, rows in zip(own, others, strict=True):
        assert len(set(rows)) == 16 and group not in pool[rows]
    np.testing.assert_array_equal(others, draw_others(own, pool, 16, seed=3))
    with pytest.raises(ValueError, match=r"17 captions .* there are 16: lower candidates to at most 17"):
        draw_others(own, pool, 17)


def test_clip_score_on_each_scale() -> None:
    cosines = pair_cosines(PAIRS["image_emb"], PAIRS["text_emb"])
    np.testing.assert_allclose(cosines, PAIRS["cos"], atol=1e-12)
    expected = {
        "cosine": "galip_cs_mean_cos",
        "clipscore": "clipscore_w2p5_mean",
        "torchmetrics": "torchmetrics_100_mean",
    }
    for form, key in expected.items():
        score = clip_score(cosines, form)  # type: ignore[arg-type]
        assert score == pytest.approx(float(PAIRS[key]), abs=1e-10)
    assert clip_score([-0.1, 0.05], "torchmetrics") == 0.0
    with pytest.raises(ValueError, match=r"form='cos': allowed are 'cosine', 'clipscore', 'torchmetrics'"):
        clip_score(cosines, "cos")  # type: ignore[arg-type]


def test_silhouette_is_scikit_learns() -> None:
    rng = np.random.RandomState(0)
    labels = np.arange(60) % 3
    features = rng.standard_normal((60, 5)) + 2 * np.eye(5)[labels]
    expected = silhouette_score(features, labels, metric="cosine")
    assert label_silhouette(features, labels) == pytest.approx(expected, abs=1e-12)
    assert label_silhouette(features, labels, most=60) == pytest.approx(expected, abs=1e-12)
    assert label_silhouette(features, labels, most=30) != pytest.approx(expected, abs=1e-6)


def test_faults() -> None:
    with pytest.raises(ValueError, match=r"image_codes has 4 features and text_codes has 3"):
        candidate_scores(np.ones((2, 4)), np.ones((3, 3)), [0, 1], [[1], [0]])
    with pytest.raises(ValueError, match=r"own and others have 1 rows: expected 2"):
        candidate_scores(np.ones((2, 4)), np.ones((3, 4)), [0], [[1]])
    with pytest.raises(ValueError, match=r"\(2, 4\) and text_codes \(3, 4\) must have one shape"):
        pair_cosines(np.ones((2, 4)), np.ones((3, 4)))
    with pytest.raises(ValueError, match="10 folds of 9 images: at least 10 images are needed"):
        fold_statistics(np.ones(9))
