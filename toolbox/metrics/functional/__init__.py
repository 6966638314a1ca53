"""The metrics as functions of arrays: numpy in, floats out, float64 inside; usable on their own."""

from toolbox.metrics.functional.accuracy import accuracy_scores
from toolbox.metrics.functional.captions import (
    candidate_scores,
    clip_score,
    draw_others,
    first_place_shares,
    fold_statistics,
    label_silhouette,
    pair_cosines,
    retrieval_hits,
)
from toolbox.metrics.functional.clustering import (
    adjusted_mutual_information,
    adjusted_rand_index,
    agreement_per_class,
    contingency_matrix,
    purity,
)
from toolbox.metrics.functional.frechet import few_sample_distance, frechet_distance, frechet_from_features
from toolbox.metrics.functional.inception_score import inception_score
from toolbox.metrics.functional.kid import kernel_distance, subset_indices, subset_kernel_distances
from toolbox.metrics.functional.matching import Matching, matched_iou, matched_iou_per_image
from toolbox.metrics.functional.precision_recall import neighbour_radii, precision_recall

__all__ = [
    "Matching",
    "accuracy_scores",
    "adjusted_mutual_information",
    "adjusted_rand_index",
    "agreement_per_class",
    "candidate_scores",
    "clip_score",
    "contingency_matrix",
    "draw_others",
    "few_sample_distance",
    "first_place_shares",
    "fold_statistics",
    "frechet_distance",
    "frechet_from_features",
    "inception_score",
    "kernel_distance",
    "label_silhouette",
    "matched_iou",
    "matched_iou_per_image",
    "neighbour_radii",
    "pair_cosines",
    "precision_recall",
    "purity",
    "retrieval_hits",
    "subset_indices",
    "subset_kernel_distances",
]
