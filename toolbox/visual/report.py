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
from toolbox.visual.tables import data_table, facts_table, missing

_MAX_FRAMES = 10


def write_report(run_folder: str | Path) -> Path:
    """Write ``report.html`` into a run's folder, finished or not, from what lies there.

    Read are config.py, environment.json, scalars.jsonl, metrics.jsonl, samples/iter_*.png, pictures/*.png
    with captions.json, tables/*.json and stages/*. What is missing or torn is left out, with a word in the
    report.

    Args:
        run_folder: the run's folder.

    Returns:
        Path of the report.

    Raises:
        FileNotFoundError: when the folder does not exist.
    """
    run = read_run_folder(run_folder)
    path = run.path / "report.html"
    write_text(report_html(run), path)
    return path


def report_html(run: RunFolder) -> str:
    """The whole page."""
    sections = [
        (title, name, content) for title, name, make in _SECTIONS if (content := make(run)) is not None
    ]
    return page(_header(run), sections, run.title, _banner(run), film_rules(_MAX_FRAMES))


def _header(run: RunFolder) -> Markup:
    return page_header("Training run", run.title, run.path, _facts(run))


def _facts(run: RunFolder) -> dict[str, str | None]:
    done, wanted, data = run.iterations, run.max_iterations, run.data
    kimg = next((r["kimg"] for r in reversed(run.scalars) if isinstance(r.get("kimg"), (int, float))), None)
    return {
        "State": "finished" if run.finished else "running, or interrupted",
        "Iterations": None if done is None else number(done) + (f" of {number(wanted)}" if wanted else ""),
        "Real images shown": None if kimg is None else f"{number(round(float(kimg), 1))} thousand",
        "Data": data.get("title"),
        "Images": _count(data),
        "Seed": None if "seed" not in run.environment else str(run.environment["seed"]),
        "Started": run.environment.get("started"),
    }


def _count(data: dict[str, Any]) -> str | None:
    n, labelled = data.get("n"), data.get("labelled")
    if n is None:
        return None
    return number(n) + (f", {number(labelled)} labelled" if labelled is not None and labelled != n else "")


def _banner(run: RunFolder) -> Markup | None:
    if not run.embedded and not run.notices:
        return None
    return page_banner(NOT_COMPARABLE if run.embedded else "To be read with these results", run.notices)


def _samples(run: RunFolder) -> Markup:
    if not run.samples:
        return missing("No sample grids yet: they are drawn into samples/ while the run goes on.")
    shown = _spread(run.samples, _MAX_FRAMES)
    words = element(
        "p",
        "The same latents in every grid; one row a class where there are classes. "
        + ("Choose an earlier grid below." if len(shown) > 1 else ""),
        class_="faint small",
    )
    return join([words, film(shown, run.notes)])


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
    return element(
        "p", f"{number(stage.iterations)} iterations, played before the main game.", class_="faint small"
    )


def _config(run: RunFolder) -> Markup:
    if not run.config:
        return missing("config.py is missing from the folder.")
    lines = run.config.count("\n") + 1
    return element(
        "details",
        element("summary", f"The resolved config, {number(lines)} lines"),
        element("pre", element("code", run.config)),
    )


def _environment(run: RunFolder) -> Markup:
    if not run.environment:
        return missing("environment.json is missing from the folder, or could not be read.")
    facts = {key: value for key, value in run.environment.items() if key not in ("data", "starts")}
    starts = run.environment.get("starts")
    if isinstance(starts, list) and len(starts) > 1:
        facts["starts"] = len(starts)
    data = {"images" if key == "n" else key: value for key, value in run.data.items()}
    if data.get("notices") == [data.get("notice")]:
        del data["notices"]
    return join([facts_table("Machine and code", facts), facts_table("Data", data) if data else None])


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
