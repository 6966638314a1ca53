"""A clustering run for people: its pictures as PNGs, and one HTML file that holds them all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolbox.config import ConfigError
from toolbox.runs.files import write_text
from toolbox.visual.embedding import picture
from toolbox.visual.markup import Markup, element, join, number
from toolbox.visual.page import Section, page, page_banner, page_header
from toolbox.visual.pictures import add_caption
from toolbox.visual.run_folder import Figure, RunFolder, Table, read_run_folder
from toolbox.visual.tables import data_table, properties_table, words
from toolbox_klish.pictures.look import Look
from toolbox_klish.pictures.maps import draw_grid
from toolbox_klish.pictures.run import Drawn, RunPictures, numbered_names, run_names
from toolbox_klish.pictures.shown import Shown
from toolbox_klish.runs.naming import Names, check_settings
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.runs.settings import PictureSettings

_SECTIONS = {
    "clusters": "Clusters",
    "maps": "Cluster maps",
    "merging": "Merging",
    "separability": "Separability",
    "algorithms": "Algorithms side by side",
    "generators": "Generators side by side",
}
_GENERATORS = (
    "After Figs. 5 and 7: a row for each algorithm, a block for each number of clusters, the samples of each "
    "generator side by side. What a run has not been fitted for is grey."
)


def draw_run(
    run: ClusterRun,
    numbers: Sequence[int] | None = None,
    samples: int | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
) -> Path:
    """Write all pictures of a run as ``pictures/*.png``, and ``report.html``.

    Args:
        run: fitted.
        numbers: numbers of clusters to show; None = those of the config.
        samples: images a picture; None = as the config says.
        seed: which fit; None = the run's first.
        out: another folder for pictures and report.

    Returns:
        Path of the report.

    Raises:
        ConfigError: for a run that is not fitted, or a config's ``pictures`` that make no sense.
        ValueError: for ``names.json`` that does not fit the run.
    """
    look = _look(run, numbers, samples, seed)
    folder = Path(out or run.folder)
    return _write_report(run, look, RunPictures(look, folder / "pictures"), folder)


def _write_report(run: ClusterRun, look: Look, pictures: RunPictures, folder: Path) -> Path:
    """All pictures, and the page that holds them."""
    drawn = pictures.draw()
    _keep_captions(drawn)
    path = folder / "report.html"
    write_text(_html(run, look, pictures, drawn), path)
    return Shown(path)


def draw_runs(
    runs: Sequence[ClusterRun],
    out: str | Path,
    numbers: Sequence[int] | None = None,
    samples: int | None = None,
    seed: int | None = None,
) -> Path:
    """Several runs, each a generator, in one picture and one report (Figs. 5 and 7).

    Arguments as of :func:`draw_run`.
    """
    folder = Path(out)
    panels = []
    notes: list[str] = []
    for run in runs:
        look = _look(run, numbers, samples or 4, seed)
        panels.append(RunPictures(look, folder / "pictures").panel())
        notes += look.notes
    title = "All algorithms at equal K, on several generators"
    path = draw_grid(panels, folder / "pictures" / "generators.png", title)
    drawn = [Drawn("generators", path, _GENERATORS)]
    _keep_captions(drawn)
    listed = ", ".join(str(run.folder) for run in runs)
    header = page_header("Clustering runs", "Generators side by side", folder, {"Runs": listed})
    sections = [*_drawn_sections(drawn, []), *_notes(notes)]
    write_text(page(header, sections, "Generators side by side"), folder / "report.html")
    return Shown(folder / "report.html")


def show_clusters(run: ClusterRun, settings: Sequence[tuple[str, Sequence[int]]] = ()) -> list[str]:
    """Take names of the final classifier's clusters, draw the run anew, and say in lines what there is.

    Args:
        run: fitted.
        settings: (name, clusters) to set in ``names.json``; no clusters = the name is dropped. Where there is
            no such file, one is written with every cluster on its own.

    Raises:
        ValueError: for a cluster that there is not, one that is named twice, or a file for another number of
            clusters. The file is as it was then.
    """
    check_settings(settings)
    path = run.folder / "names.json"
    names = run_names(run, run.seeds[0])
    if not path.is_file():
        names = Names.template(names.clusters)
    changes = []
    for name, numbers in settings:
        changes += names.changes(name, numbers)
        names = names.named(name, numbers)
    look = _look(run, None, None, None)
    if (look.default, look.final) not in look.labels:
        raise ConfigError("; ".join(look.notes))
    if settings or not path.is_file():
        names.write(path)
    pictures = RunPictures(look, run.folder / "pictures", names)
    report = _write_report(run, look, pictures, run.folder)
    return [
        *changes,
        *_as_text(cluster_table(look, pictures)),
        f"picture: {pictures.folder / 'clusters.png'}",
        f"names:   {path} (edit it, or --set NAME=0,3)",
        f"report:  {report}",
    ]


def cluster_table(look: Look, pictures: RunPictures) -> Table:
    """Every cluster of the final classifier: number and name, share of the samples, IoU."""
    shares = look.shares(look.default, look.final)
    iou = look.iou(look.final)
    rows: list[list[Any]] = []
    for cluster, title in enumerate(numbered_names(pictures.names)):
        own = None if iou is None else float(iou[cluster])
        remark = "badly separable" if own is not None and own < pictures.low else ""
        share = round(100 * float(shares[cluster]), 1)
        rows.append([title, share, None if own is None else round(own, 3), remark])
    return Table("", ["Cluster", "Share of pixels, %", "IoU", ""], rows)


def _as_text(table: Table) -> list[str]:
    """The table in columns."""
    cells = [[words(value) for value in row] for row in [table.columns, *table.rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        padded = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(padded).rstrip())
    return lines


def _look(run: ClusterRun, numbers: Sequence[int] | None, samples: int | None, seed: int | None) -> Look:
    arguments = dict(run.config.pictures) | ({} if samples is None else {"samples": samples})
    return Look(run, PictureSettings.of(arguments), numbers, seed)


def _keep_captions(drawn: Sequence[Drawn]) -> None:
    for one in drawn:
        add_caption(one.path, one.caption)


def _html(run: ClusterRun, look: Look, pictures: RunPictures, drawn: Sequence[Drawn]) -> str:
    found = read_run_folder(run.folder)
    sections = []
    for title, name, content in _drawn_sections(drawn, look.notes):
        if name == "clusters" and (look.default, look.final) in look.labels:
            content = join([_cluster_section(run, look, pictures), content])
        sections.append((title, name, content))
    sections += [*_tables(found), *_about(run, found), *_notes([*look.notes, *found.notes])]
    warnings = [str(warning) for warning in run.record.get("warnings", [])]
    banner = page_banner("Low separability", warnings) if warnings else None
    title = str(run.config.get("title", run.folder.name))
    header = page_header("Clustering run", title, run.folder, _summary(run, look))
    return page(header, sections, title, banner)


def _cluster_section(run: ClusterRun, look: Look, pictures: RunPictures) -> Markup:
    """The table of clusters, and how to name them."""
    command = element("code", f"toolbox klish name {run.folder} --set hair=0,3")
    how = element("p", "Names and merges: ", command, ", or edit names.json.", class_="faint small")
    return join([data_table(cluster_table(look, pictures)), how])


def _drawn_sections(drawn: Sequence[Drawn], notes: list[str]) -> list[Section]:
    """The pictures by section."""
    found = []
    for name, title in _SECTIONS.items():
        figures = [picture(Figure(one.path, one.caption), notes) for one in drawn if one.section == name]
        if figures:
            found.append((title, name, join(figures)))
    return found


def _summary(run: ClusterRun, look: Look) -> dict[str, str | None]:
    record = run.record
    listed = ", ".join(map(str, run.seeds))
    many = None if look.tree is None else look.tree.clusters_
    rows = f"{number(record['rows'])} x {number(record['width'])}" if "rows" in record else None
    return {
        "Generator": record.get("generator", {}).get("type"),
        "Features": rows,
        "First clusters": None if many is None else number(many),
        "Final clusters": number(look.final),
        "Clusterers": ", ".join(run.clusterers),
        "Seed shown": str(look.seed) + (f" of {listed}" if run.seeds[1:] else ""),
        "Samples": f"new ones, seed {look.settings.seed}",
    }


def _tables(found: RunFolder) -> list[Section]:
    return [("Tables", "tables", join([data_table(table) for table in found.tables]))] if found.tables else []


def _about(run: ClusterRun, found: RunFolder) -> list[Section]:
    """What was fitted on what, and the config."""
    elsewhere = ("warnings", "fits", "environment", "title")
    properties = {key: value for key, value in run.record.items() if key not in elsewhere}
    fits = [[name, fit.get("seconds")] for name, fit in run.record.get("fits", {}).items()]
    machine = dict(run.record.get("environment", {}))
    environment = {key: value for key, value in machine.items() if key not in ("data", "starts")}
    parts: list[Markup | None] = []
    if properties:
        parts.append(properties_table("Run", json.loads(json.dumps(properties, default=str))))
    if fits:
        parts.append(data_table(Table("Time of each fit", ["Fit", "Seconds"], fits)))
    if environment:
        parts.append(properties_table("Machine and code", environment))
    text = element("pre", element("code", found.config))
    parts.append(element("details", element("summary", "The resolved config"), text))
    return [("About the run", "about", join(parts))]


def _notes(notes: Sequence[str]) -> list[Section]:
    """What could not be shown or read."""
    listed = [element("li", note) for note in dict.fromkeys(notes)]
    return [("What is missing", "notes", element("ul", listed))] if listed else []
