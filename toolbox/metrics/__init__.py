"""Metrics of generated images. Each name carries its protocol: ``fid[inception-tf,50k]``.

functional    the formulas, on arrays
FID, KID, ... metrics, for configs and notebooks
base          what they share: features through an extractor, their statistics
evaluate      many metrics in one pass, real statistics cached
extractors    the Inception network of FID
"""

from toolbox.metrics.captions import ClipScore, RPrecision
from toolbox.metrics.classifier import ClassifierAccuracy
from toolbox.metrics.cluster_consistency import ClusterConsistency
from toolbox.metrics.evaluate import evaluate
from toolbox.metrics.fid import FID
from toolbox.metrics.inception_score import InceptionScore
from toolbox.metrics.intra_fid import IntraFID
from toolbox.metrics.kid import KID
from toolbox.metrics.precision_recall import PrecisionRecall
from toolbox.metrics.probe import Probe, ProbeClassifier, train_probe
from toolbox.metrics.silhouette import LabelSilhouette

__all__ = [
    "FID",
    "KID",
    "ClassifierAccuracy",
    "ClipScore",
    "ClusterConsistency",
    "InceptionScore",
    "IntraFID",
    "LabelSilhouette",
    "PrecisionRecall",
    "Probe",
    "ProbeClassifier",
    "RPrecision",
    "evaluate",
    "train_probe",
]
