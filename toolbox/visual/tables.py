"""Plain values as HTML tables."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import Any

from toolbox.visual.markup import Markup, element, number
from toolbox.visual.run_folder import Table


def data_table(table: Table) -> Markup:
    """A table; columns of numbers stand right, a long one scrolls under its head."""
    columns = [[row[i] for row in table.rows if i < len(row)] for i in range(len(table.columns))]
    styles = ["n" if _is_numeric(column) else None for column in columns]
    names = [
        element("th", name, class_=style, scope="col")
        for name, style in zip(table.columns, styles, strict=True)
    ]
    rows = []
    for row in table.rows:
        cells = zip_longest(row, styles[: len(row)])  # a row may be longer than the head
        rows.append(element("tr", [element("td", words(value), class_=style) for value, style in cells]))
    caption = element("caption", table.title) if table.title else None
    head = element("thead", element("tr", names))
    return element("div", element("table", caption, head, element("tbody", rows)), class_="wide tall")


def properties_table(title: str, properties: dict[str, Any]) -> Markup:
    """Names and values; a dict within (versions) becomes a row each."""
    flat: dict[str, Any] = {}
    for key, value in properties.items():
        flat |= value if isinstance(value, dict) else {spoken(key): value}
    rows = [
        element("tr", element("td", key, class_="key"), element("td", words(value), class_="long"))
        for key, value in flat.items()
        if value not in ("", None, [])
    ]
    return element("div", element("table", element("caption", title), element("tbody", rows)), class_="wide")


def words(value: Any) -> str:
    """A value as text: lists and dicts by their items, numbers as people write them."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(words(item) for item in value)
    if isinstance(value, dict):
        return ", ".join(f"{spoken(str(key)).lower()} {words(item)}" for key, item in value.items())
    return number(value)


def spoken(name: str) -> str:
    """'cluster-consistency' as 'Cluster consistency'; known abbreviations in capitals.

    >>> spoken("intra-fid"), spoken("n_fake")
    ('Intra FID', 'N fake')
    """
    text = " ".join(word.upper() if word in ("fid", "kid") else word for word in re.split(r"[\s_-]+", name))
    return text[:1].upper() + text[1:]


def missing(text: str) -> Markup:
    """A word in the place of what is not there."""
    return element("p", text, class_="faint")


def _is_numeric(values: list[Any]) -> bool:
    there = [value for value in values if value is not None]
    return bool(there) and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in there)
