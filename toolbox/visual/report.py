"""A run's report: one HTML file that holds everything and asks the network for nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolbox.runs.files import write_text
from toolbox.visual.curves import loss_charts
from toolbox.visual.embedding import film, film_rules, picture
from toolbox.visual.markup import Markup, element, join, number
from toolbox.visual.page import page, page_banner, page_header
from toolbox.visual.results import NOT_COMPARABLE, results
from toolbox.visual.run_folder import RunFolder, read_run_folder
from toolbox.visual.tables import data_table, missing, properties_table
from toolbox.weights.errors import reason

_MAX_FRAMES = 10


def write_report(run_folder: str | Path) -> Path:
    """Write ``report.html`` into a run's folder, finished or not, from what lies there.

    Read are config.json, config.py, environment.json, scalars.jsonl, metrics.jsonl, samples/iter_*.png,
    pictures/*.png with captions.json, tables/*.json and stages/*. The report leaves out what is missing or
    torn, saying so.

    Args:
        run_folder: the run's folder.

    Returns:
        Path of the report.

    Raises:
        FileNotFoundError: when the folder does not exist.
    """
    run = read_run_folder(run_folder)
    path = run.path / "report.html"
    text = report_html(run)
    write_text(text.encode("utf-8", "replace").decode("utf-8"), path)  # JSON can hold half a character
    return path


def report_html(run: RunFolder) -> str:
    """The whole page."""
    header = _made(run, "the head", _header) or element("header", run.path.name)
    banner = _made(run, "the banner", _banner)
    made = [(title, name, _made(run, title, make)) for title, name, make in _SECTIONS]
    sections = [(title, name, content) for title, name, content in made if content is not None]
    return page(header, sections, run.title, banner, film_rules(_MAX_FRAMES))


def _made(run: RunFolder, title: str, make: Callable[[RunFolder], Markup | None]) -> Markup | None:
    """A part of the page; where its values cannot be shown at all, it is left out, and a note says so."""
    try:
        return make(run)
    except Exception as error:  # whatever the files hold, the report is written
        run.notes.append(f"{title} could not be shown ({reason(error)}); left out.")
        return None


def _header(run: RunFolder) -> Markup:
    seed = run.environment.get("seed")
    properties = {
        "State": "finished" if run.finished else "running, or interrupted",
        "Iterations": _iterations(run),
        f"{'Real' if run.has_images else 'Generated'} images shown": _shown(run),
        "Data": run.data.get("title") if run.has_images else "none",
        "Images": _count(run.data),
        "Seed": str(seed) if "seed" in run.environment else None,
        "Started": run.environment.get("started"),
    }
    return page_header("Training run", run.title, run.path, properties)


def _iterations(run: RunFolder) -> str | None:
    if run.iterations is None:
        return None
    done = number(run.iterations)
    return f"{done} of {number(run.max_iterations)}" if run.max_iterations else done


def _shown(run: RunFolder) -> str | None:
    for record in reversed(run.scalars):
        if isinstance(record.get("kimg"), (int, float)):
            return f"{number(round(float(record['kimg']), 1))} thousand"
    return None


def _count(data: dict[str, Any]) -> str | None:
    n, labelled = data.get("n"), data.get("labelled")
    if n is None:
        return None
    return number(n) if labelled in (None, n) else f"{number(n)}, {number(labelled)} labelled"


def _banner(run: RunFolder) -> Markup | None:
    if not run.embedded and not run.notices:
        return None
    return page_banner(NOT_COMPARABLE if run.embedded else "To be read with these results", run.notices)


def _samples(run: RunFolder) -> Markup:
    if not run.samples:
        return missing("No sample grids yet: they are drawn into samples/ while the run goes on.")
    shown = _spread(run.samples, _MAX_FRAMES)
    words = "The same latents in every grid; one row a class, or a caption, where there are such. "
    if len(shown) > 1:
        words += "Choose an earlier grid below."
    return join([element("p", words, class_="faint small"), film(shown, run.notes)])


def _pictures(run: RunFolder) -> Markup | None:
    return join([picture(figure, run.notes) for figure in run.pictures]) if run.pictures else None


def _tables(run: RunFolder) -> Markup | None:
    return join([data_table(table) for table in run.tables]) if run.tables else None


def _curves(run: RunFolder) -> Markup:
    parts: list[Any] = [_charts(run)]
    for name, stage in run.stages.items():
        parts += [element("h3", f"Stage {name}"), _stage_line(stage), _charts(stage)]
        run.notes += [f"stages/{name}/{note}" for note in stage.notes]
    return join(parts)


def _charts(run: RunFolder) -> Markup:
    charts = loss_charts(run.scalars) if run.scalars else []
    if not charts:
        return missing("No losses yet: they are kept in scalars.jsonl while the run goes on.")
    return element("div", charts, class_="charts")


def _stage_line(stage: RunFolder) -> Markup | None:
    if stage.iterations is None:
        return None
    words = f"{number(stage.iterations)} iterations, played before the main game."
    return element("p", words, class_="faint small")


def _config(run: RunFolder) -> Markup:
    if not run.config:
        return missing("config.py is missing from the folder.")
    lines = run.config.count("\n") + 1
    summary = f"The resolved config, {number(lines)} lines"
    return element("details", element("summary", summary), element("pre", element("code", run.config)))


def _environment(run: RunFolder) -> Markup:
    if not run.environment:
        return missing("environment.json is missing from the folder, or could not be read.")
    machine = {key: value for key, value in run.environment.items() if key not in ("data", "starts")}
    starts = run.environment.get("starts")
    if isinstance(starts, list) and len(starts) > 1:
        machine["starts"] = len(starts)
    data = {"images" if key == "n" else key: value for key, value in run.data.items()}
    if data.get("notices") == [data.get("notice")]:
        del data["notices"]
    tables = [properties_table("Machine and code", machine)]
    if data:
        tables.append(properties_table("Data", data))
    return join(tables)


def _notes(run: RunFolder) -> Markup | None:
    """Last: the other sections add to the notes while they read."""
    return element("ul", [element("li", note) for note in dict.fromkeys(run.notes)]) if run.notes else None


_SECTIONS: list[tuple[str, str, Callable[[RunFolder], Markup | None]]] = [
    ("Results", "results", results),
    ("Samples", "samples", _samples),
    ("Pictures", "pictures", _pictures),
    ("Tables", "tables", _tables),
    ("Losses", "losses", _curves),
    ("Environment and data", "environment", _environment),
    ("Configuration", "configuration", _config),
    ("What could not be read", "notes", _notes),
]


def _spread(items: list[Any], most: int) -> list[Any]:
    """At most ``most`` items, evenly spaced, the last among them."""
    if len(items) <= most:
        return items
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]
