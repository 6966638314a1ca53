"""The frame of every report: one HTML file with its style and pictures, which loads nothing else."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from importlib.resources import files

from toolbox.visual.markup import Markup, element

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
Section = tuple[str, str, Markup]  # title, name that links lead to, content


def page(
    header: Markup, sections: Sequence[Section], title: str, banner: Markup | None = None, style: str = ""
) -> str:
    """A whole HTML page: contents at the side, header, what must be read first, sections, footer.

    Args:
        header: from :func:`page_header`.
        sections: (title, name, content), in order.
        title: of the window.
        banner: what the page must be read with.
        style: CSS beyond that of all reports.
    """
    parts = (element("section", element("h2", words), content, id=name) for words, name, content in sections)
    main = element("main", *parts)
    body = element("div", _contents(sections), header, banner, main, _footer(), class_="frame")
    sheet = files("toolbox.visual").joinpath("report.css").read_text(encoding="utf-8") + style
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", title),
        element("style", Markup(sheet)),
    )
    return "<!DOCTYPE html>\n" + element("html", head, element("body", body), lang="en") + "\n"


def page_header(kind: str, title: str, where: object, properties: Mapping[str, str | None]) -> Markup:
    """What the page is of, where that lies, and the properties that have a value."""
    listed = [
        element("div", element("dt", name), element("dd", value))
        for name, value in properties.items()
        if value
    ]
    return element(
        "header",
        element("p", kind, class_="kind"),
        element("h1", title),
        element("p", element("code", str(where)), class_="faint"),
        element("dl", listed, class_="properties"),
    )


def page_banner(heading: str, notices: Sequence[str]) -> Markup:
    """A box of sentences that the page must be read with."""
    paragraphs = [element("p", notice) for notice in notices]
    return element("div", element("strong", heading), paragraphs, class_="banner", role="note")


def _contents(sections: Sequence[Section]) -> Markup:
    links = [element("li", element("a", title, href=f"#{name}")) for title, name, _ in sections]
    return element("nav", element("ol", links), aria_label="Contents")


def _footer() -> Markup:
    return element(
        "footer",
        f"Written {time.strftime('%Y-%m-%d %H:%M')} by toolbox. "
        "This file holds all its pictures and loads nothing from elsewhere.",
    )
