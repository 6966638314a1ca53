"""``toolbox klish segment``: from unlabelled images to a segmenter, an arrow at a time.

config.json, config.py   the resolved config
state.json               what is done, and with which settings
gan/, clusters/, pairs/, segmenter/
matching.json            the label of each cluster
measures.json            scores on labelled images
pictures/segments.png    real images beside their parts (Fig. 8)
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolbox.config import ConfigError
from toolbox.interfaces import Segmenter
from toolbox.runs.changes import check_kept_command
from toolbox.runs.files import explain_full_disk, sweep, write_text
from toolbox.runs.kept import keep_config, kept_config
from toolbox.runs.locking import locked
from toolbox.runs.terminal import say
from toolbox_klish.ufgs import arrows
from toolbox_klish.ufgs.labelled import Labelled, evaluation_images, matching_images
from toolbox_klish.ufgs.matching import (
    PROTOCOLS,
    MatchedSegmenter,
    Tables,
    match,
    relabelled,
    scores_of,
    tables_of,
)
from toolbox_klish.ufgs.pictures import draw_segments
from toolbox_klish.ufgs.settings import COMMAND
from toolbox_klish.ufgs.state import State

MATCHING = "matching.json"
MEASURES = "measures.json"


def segment_images(config: Any, data: str | Path | None, work_dir: str | Path) -> Path:
    """Do what a config describes and is not done yet.

    Args:
        config: of :func:`toolbox_klish.ufgs.settings.read_config`, its data sets given
            (:func:`toolbox_klish.ufgs.labelled.give_folder`).
        data: folder or zip of unlabelled images that a generator is trained on, where none is at hand.
        work_dir: the run's folder.

    Returns:
        The folder; :func:`load_segmenter` reads it.

    Raises:
        ConfigError: for a folder of other settings, or clusters of another generator.
        DataError: for images or masks that do not fit, before anything is trained.
        WriteError: when the disk is full.
        LockedError: when another process is at work in the folder.
        Stopped: on Ctrl-C or SIGTERM; the same call goes on.
    """
    folder = Path(work_dir)
    with explain_full_disk(folder), locked(folder):
        sweep(folder)
        check_kept_command(folder, kept_config(folder), COMMAND)
        size = _size_of(config)
        matching = matching_images(config, size)
        evaluation = evaluation_images(config, size, matching)
        state = State(folder)
        keep_config(config, folder)
        clusters = _clusters_segmenter(config, None if data is None else Path(data), folder, state)
        found = _matched(config, clusters, matching, folder, state)
        if found is not None and evaluation is not None:
            _measured(config, clusters, evaluation, found, folder, state)
        draw_segments(folder, config, clusters, found)
    return folder


def load_segmenter(folder: str | Path, device: str | None = None) -> Segmenter:
    """The segmenter of a run: of labels, or of clusters where none were matched.

    Raises:
        ConfigError: for a folder that holds no finished segmenter.
    """
    folder = Path(folder)
    config = kept_config(folder)
    if config is None or State(folder).done("segmenter") is None:
        raise ConfigError(f"{folder} holds no finished segmenter: `toolbox klish segment` makes one")
    config.device = device or config.get("device")
    clusters = arrows.trained_segmenter(config, folder / "pairs", folder, State(folder))
    file = folder / MATCHING
    if not file.is_file():
        return clusters
    found = json.loads(file.read_text(encoding="utf-8"))
    return MatchedSegmenter(clusters, found["assignment"], found["part_names"]).eval()


def _clusters_segmenter(config: Any, data: Path | None, folder: Path, state: State) -> Segmenter:
    given = config.generator is None and config.clusters.run is not None
    source = None if given else arrows.trained_generator(config, data, folder, state)
    run = arrows.fitted_clusters(config, source, folder, state)
    pairs = arrows.made_pairs(config, run, folder, state)
    return arrows.trained_segmenter(config, pairs, folder, state)


def _size_of(config: Any) -> int | None:
    """Pixels of a side that the segmenter is made for."""
    size = config.segmenter.model.networks.segmenter.get("image_size")
    return None if size is None else int(size)


def _matched(
    config: Any, clusters: Segmenter, images: Labelled | None, folder: Path, state: State
) -> dict[str, Any] | None:
    """The label of each cluster by the labelled images; None = there are none."""
    if images is None:
        say("no labelled images: the segmenter's parts are clusters, and nothing is measured")
        return None
    data, protocol = images.data.fingerprint(), config.matching.protocol
    settings = dict(protocol=protocol, images=len(images.rows), data=data)
    done = state.begin("matching", settings, again=True)
    if done is not None and (folder / MATCHING).is_file():
        return done
    tables = _tables(config, clusters, images, "matching")
    names = list(images.data.part_names)
    found = match(tables, protocol)
    record: dict[str, Any] = dict(
        assignment=found.assignment.tolist(),
        part_names=names,
        clusters=list(clusters.part_names),
        miou=found.miou,
        iou=found.iou.tolist(),
        images=len(images.rows),
        protocol=protocol,
        others={name: match(tables, name).assignment.tolist() for name in PROTOCOLS},
    )
    write_text(json.dumps(record, indent=2) + "\n", folder / MATCHING)
    return state.finish("matching", record)


def _measured(
    config: Any, clusters: Segmenter, images: Labelled, found: Mapping[str, Any], folder: Path, state: State
) -> None:
    settings = dict(matching=dict(found), images=len(images.rows), data=images.data.fingerprint())
    done = state.begin("measures", settings, again=True)
    if done is None or not (folder / MEASURES).is_file():
        tables = _tables(config, clusters, images, "measuring")
        done = measures_of(tables, found["others"], config.matching.protocol)
        done |= dict(part_names=list(found["part_names"]), images=len(images.rows), data=images.data.title)
        write_text(json.dumps(done, indent=2) + "\n", folder / MEASURES)
        state.finish("measures", done)
    say(in_words(done))


def measures_of(tables: Tables, assignments: Mapping[str, Any], protocol: str) -> dict[str, Any]:
    """Scores on labelled images: by the protocol, by the others, and with the best labels in hindsight.

    Args:
        tables: (I, R, K) of the images.
        assignments: {protocol: label of each cluster}.
        protocol: whose scores are the run's.
    """
    scores = {name: scores_of(relabelled(tables, labels)) for name, labels in assignments.items()}
    hindsight = match(tables, protocol).assignment
    return dict(
        protocol=protocol,
        scores=scores[protocol],
        others={name: found for name, found in scores.items() if name != protocol},
        hindsight=scores_of(relabelled(tables, hindsight)),
    )


def in_words(found: Mapping[str, Any]) -> str:
    """Measures in a few lines."""
    scores = found["scores"]
    lines = [
        f"{found['data']}, {found['images']} images: mean IoU {100 * scores['miou-klish']:.1f} (the authors' "
        f"evaluator, without background), {100 * scores['miou-per-image']:.1f} (background counted where it "
        f"is taken for a part), {100 * scores['miou-pooled']:.1f} (pooled, with background)"
    ]
    each = zip(found["part_names"], scores["iou-klish"], strict=True)
    lines.append(", ".join(f"{name} {100 * value:.1f}" for name, value in each if value is not None))
    return "\n".join(lines)


def _tables(config: Any, clusters: Segmenter, images: Labelled, what: str) -> Tables:
    device, size = arrows.device_of(config), config.evaluation.batch_size
    return tables_of(clusters, images.data, images.rows, size, device, images.ignore, what)
