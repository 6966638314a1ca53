"""Table IV of a clustering run: every clusterer, seed and K on new images, under the run's teacher."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolbox.config import ConfigError
from toolbox.interfaces import Segmenter
from toolbox.metrics.functional import contingency_matrix
from toolbox.ranges import check_whole, given
from toolbox.registry import build
from toolbox.runs.terminal import tracked
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.segment import segment
from toolbox_klish.table.published import GENERATORS
from toolbox_klish.table.table import Results, Table, no_results, scores

IMAGES = 200  # the paper: 10,000 new images
SEED = 2022  # of these images: the authors'
# what a mean IoU in a segmenter's card counts
_EVALUATORS = {
    "miou-klish": "the authors' evaluator of segmentations",
    "miou-per-image": "an image at a time, without background",
    "miou-pooled": "pooled, with background",
}


@dataclass
class _Judged:
    """One classifier, and what it does to each image.

    Attributes:
        name, seed, k: clusterer, its seed, number of clusters.
        classifier: of them.
        tables: (images, parts, k) int32, filled image by image.
    """

    name: str
    seed: int
    k: int
    classifier: Any
    tables: NDArray[np.int32]


def judge(
    run: ClusterRun,
    images: int = IMAGES,
    seed: int = SEED,
    clusters: Sequence[int] | None = None,
    seeds: Sequence[int] | None = None,
    size: int | None = None,
    paper: str | None = None,
) -> Table:
    """The table of a run.

    Images are made one at a time; of each, a table of parts and clusters is kept for every classifier.

    Args:
        run: fitted, with a ``truth``.
        images, seed: how many new images, and the seed they are drawn with.
        clusters: numbers of clusters; None = the run's ``shown`` and ``final``.
        seeds: of the fits; None = all of the run.
        size: pixels of a side at which parts and clusters are compared; None = the images' own, at most the
            run's.
        paper: generator whose rows of the paper are printed beside; None = see :func:`in_table_iv`.

    Raises:
        ConfigError: for a run without truth, one that is not fitted whole, or a ``seed`` whose images were
            clustered.
        ValueError: for an argument out of its range.
    """
    check_whole(1, images=images, **given(size=size))
    for k in clusters or ():
        check_whole(1, clusters=k)
    _check_new(run, seed)
    teacher = teacher_of(run)
    if size is not None and size > run.generator.image_size:
        raise ValueError(f"size={size} must be at most {run.generator.image_size}, that of the images")
    size = size or min(run.generator.image_size, run.config.features.size)
    missing: list[str] = []
    shape = (images, len(teacher.part_names))
    judged = list(_classifiers(run, clusters or run.numbers, seeds or run.seeds, shape, missing))
    if not judged:
        raise ValueError(f"{run.folder} has nothing to judge. {missing[0]}")
    stream = run.stream(images, seed=seed, size=size, pixels=None)
    for i in tracked(range(images), images, "judging"):
        _look(i, stream, teacher, judged, size)
    notes = [
        f"Judged on {images} new images (seed {seed}; the paper: 10,000), {size} x {size} pixels.",
        _worth(teacher),
        *missing,
    ]
    details = dict(
        run=run.folder.name,
        images=images,
        seed=seed,
        size=size,
        seeds=sorted({one.seed for one in judged}),
        truth=dict(run.config.truth),
        parts=list(teacher.part_names),
        teacher=getattr(teacher, "card", {}).get("metrics"),
    )
    title = run.config.get("title", run.folder.name)
    results = _results(judged, run.clusterers)
    return Table(title, results, notes, paper or in_table_iv(run), _in_the_paper(run), details)


def teacher_of(run: ClusterRun) -> Segmenter:
    """The segmenter that a run's ``truth`` describes, on the run's device, in eval mode.

    Raises:
        ConfigError: for a run without one.
    """
    if not run.config.truth:
        raise ConfigError(
            f"{run.folder} has no truth to compare with: give its config.json "
            '"truth": {"type": "EmbeddedSegmenter"}, or another segmenter that knows what the generator shows'
        )
    teacher: Segmenter = build(dict(run.config.truth), "segmenter", "truth")
    return teacher.to(run.device).eval()


def in_table_iv(run: ClusterRun) -> str | None:
    """The generator of Table IV that a run's title names ('StyleGAN2 on FFHQ').

    None where another generator stands in for its weights.
    """
    if "weights" not in run.config.generator:
        return None
    title = _plain(run.config.get("title", ""))
    return next((name for name in GENERATORS if _plain(name) in title), None)


def _plain(name: str) -> str:
    return name.lower().replace(" on ", "").replace("-", "").replace(" ", "")


def _check_new(run: ClusterRun, seed: int) -> None:
    clustered = sorted({run.feature_seed(own) for own in run.seeds})
    if seed in clustered:
        raise ConfigError(
            f"seed={seed}: {run.folder} has clustered the images of this seed; new ones are needed, take a "
            f"seed that is none of {clustered}"
        )


def _classifiers(
    run: ClusterRun,
    clusters: Sequence[int],
    seeds: Sequence[int],
    shape: tuple[int, int],
    missing: list[str],
) -> Iterator[_Judged]:
    """What there is; ``missing`` takes in, in words, what a filter or a threshold has left out.

    ``shape``: numbers of images and of parts.
    """
    for k in sorted(set(clusters)):
        for name in run.clusterers:
            for seed in seeds:
                try:
                    classifier = run.classifier(k, name, seed)
                except ConfigError:
                    raise
                except ValueError as error:
                    missing.append(f"Not judged: {name}, seed {seed}: {error}.")
                else:
                    yield _Judged(name, seed, k, classifier, np.zeros((*shape, k), dtype=np.int32))


def _look(i: int, stream: Any, teacher: Segmenter, judged: Sequence[_Judged], size: int) -> None:
    """Count the pixels of image ``i`` by part and cluster."""
    truth = teacher.labels(stream.image(i)[None], size)[0].flatten().cpu().numpy()
    maps = stream.maps(i)
    for one in judged:
        found = segment(one.classifier, maps, size)[0].flatten().cpu().numpy()
        one.tables[i] = contingency_matrix(truth, found, one.tables.shape[1:])


def _results(judged: Sequence[_Judged], names: Sequence[str]) -> Results:
    results = no_results([one.k for one in judged], names)
    for one in judged:
        for metric, value in scores(one.tables).items():
            results[one.k][one.name][metric].append(value)
    return results


def _in_the_paper(run: ClusterRun) -> dict[str, str]:
    """{clusterer of the run: its name in Table IV, '' if it is not in there}."""
    known = {
        ("KLiSH", None): "KLiSH",
        ("KASP", None): "KASP",
        ("LloydKMeans", "euclidean"): "K-means",
        ("AHC", "ward"): "AHC (Ward)",
        ("AHC", "arccos"): "AHC (arccos)",
    }
    found = {}
    for name in run.clusterers:
        config = run.config.clusterers[name]
        kinds = {
            "LloydKMeans": config.get("metric", "euclidean"),
            "AHC": config.get("linkage", "ward"),
            "KLiSH": config.get("drop_place"),  # the paper has none
        }
        kind = kinds.get(config["type"])
        found[name] = known.get((config["type"], kind), "")
    return found


def _worth(teacher: Segmenter) -> str:
    """What the truth is worth."""
    kind = type(teacher).__name__
    measured = (getattr(teacher, "card", None) or {}).get("metrics")
    if not measured:
        return f"Truth: {kind}; how well it segments is not known here."
    named = {words: measured.get(f"test: {name}") for name, words in _EVALUATORS.items()}
    values = ", ".join(f"{value:.3f} ({words})" for words, value in named.items() if value is not None)
    return (
        f"Truth: {kind}, whose mean IoU on test images with exact masks is {values or 'not in its card'}. "
        "Generated images have no masks to test it on."
    )
