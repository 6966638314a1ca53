"""The metrics of a run: large numbers first, everything that was recorded with them below."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from toolbox.visual.markup import Markup, element, join, number
from toolbox.visual.run_folder import RunFolder, Table
from toolbox.visual.tables import data_table, missing, properties_table, spoken, words

NOT_COMPARABLE = "Embedded data: not comparable with published numbers"
_TITLES = {"is": "Inception score"}
_BESIDE = {"real": "real images", "chance": "chance"}  # values that a metric must be compared with
_SHOWN_APART = ("metric", "value", "classes", "versions", "notice")  # of a record


def results(run: RunFolder) -> Markup:
    """The section of results: the latest value of each metric, its protocol, earlier ones, those by class."""
    if not run.metrics and not run.failures:
        return missing("No metrics yet: they are measured at the end of a run, and kept in metrics.jsonl.")
    latest = {str(record["metric"]): record for record in run.metrics}
    cards = []
    for name, record in latest.items():
        for key, value in _main_values(record).items():
            cards.append(_card(f"{name}.{key}" if key else name, key, value, record))
    by_class = [_by_class(run, name, record) for name, record in latest.items()]
    shown = element("div", cards, class_="cards")
    protocols = _protocols(latest) if latest else None
    return join([shown, _not_computed(run), _note_on_data(run), _history(run), *by_class, protocols])


def _main_values(record: dict[str, Any]) -> dict[str, Any]:
    """The metric's own number under ''; where it has none, all of them by name."""
    values = _values(record)
    if values and "" not in values:
        return values
    return {"": record.get("value", values.get(""))}


def _values(record: dict[str, Any]) -> dict[str, Any]:
    values = record.get("values")
    return values if isinstance(values, dict) else {}


def _card(name: str, key: str, value: Any, record: dict[str, Any]) -> Markup:
    title, _, protocol = str(record["metric"]).partition("[")
    values = {} if key else _values(record)
    spread = values.get("std")
    beside = [f"{word} {number(values[part])}" for part, word in _BESIDE.items() if part in values]
    better = {True: "higher is better", False: "lower is better"}
    direction = record.get("higher_is_better")
    how = [
        "" if spread is None else f"std {number(spread, 3)}",
        *beside,
        protocol.rstrip("]").replace(",", ", "),
        better[direction] if isinstance(direction, bool) else "",
    ]
    return element(
        "div",
        element("p", spoken(key or _TITLES.get(title, title)), class_="what"),
        element("p", number(value), class_="value"),
        element("p", " · ".join(part for part in how if part), class_="how"),
        class_="card",
        title=name,
    )


def _not_computed(run: RunFolder) -> Markup | None:
    """Metrics that failed, and why."""
    if not run.failures:
        return None
    lines = [element("li", f"{name}: not computed: {reason}") for name, reason in run.failures.items()]
    return element("ul", lines)


def _note_on_data(run: RunFolder) -> Markup | None:
    if not run.embedded:
        return None
    words = f"{NOT_COMPARABLE}. Two runs on it can be compared where data and protocol are the same."
    return element("p", words, class_="faint small")


def _history(run: RunFolder) -> Markup | None:
    """Metrics that were measured at more than one iteration."""
    found: dict[str, dict[Any, Any]] = {}
    for record in run.metrics:
        found.setdefault(str(record["metric"]), {})[_iteration(record)] = record.get("value")
    repeated = {name: values for name, values in found.items() if len(values) > 1}
    if not repeated:
        return None
    times = sorted({time for values in repeated.values() for time in values})
    rows = [[name, *(values.get(time) for time in times)] for name, values in repeated.items()]
    columns = ["Metric", *(f"iteration {number(time)}" if time >= 0 else "earlier" for time in times)]
    return data_table(Table("Over the run", columns, rows))


def _iteration(record: dict[str, Any]) -> int:
    """-1 where it was not kept."""
    iteration = record.get("iteration")
    return iteration if isinstance(iteration, int) else -1


def _by_class(run: RunFolder, name: str, record: dict[str, Any]) -> Markup | None:
    """A metric's values for single classes, with their names."""
    classes = record.get("classes")
    if not isinstance(classes, dict) or not all(isinstance(values, dict) for values in classes.values()):
        return None
    known = run.data.get("classes")
    names = {str(i): text for i, text in enumerate(known)} if isinstance(known, list) else {}
    keys = _keys(classes.values())
    rows = [[names.get(label, label), *map(values.get, keys)] for label, values in classes.items()]
    table = data_table(Table("", ["Class", *(spoken(key) for key in keys)], rows))
    return element("details", element("summary", f"{name} by class"), table)


def _protocols(latest: dict[str, dict[str, Any]]) -> Markup:
    """Everything that was recorded with the latest values, to trust or repeat them."""
    records = {}
    for name, record in latest.items():
        values = {key or "value": value for key, value in _values(record).items()}
        records[name] = {**record, "values": values}
    own, common = [], {}
    for key in _keys(records.values()):
        told = [words(record.get(key)) for record in records.values()]
        if key in _SHOWN_APART:
            continue
        if key == "values" or len(set(told)) > 1:
            own.append(key)
        else:
            common[key] = told[0]
    rows = [[name, *map(record.get, own)] for name, record in records.items()]
    table = data_table(Table("", ["Metric", *map(spoken, own)], rows))
    shared = properties_table("The same for all of them", common)
    return element("details", element("summary", "Full names and protocols"), table, shared)


def _keys(records: Iterable[dict[str, Any]]) -> list[str]:
    """All keys of some records, in the order in which they first come."""
    return list(dict.fromkeys(key for record in records for key in record))
