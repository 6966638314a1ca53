"""Markup escapes by construction; numbers read well."""

from __future__ import annotations

import pytest

from toolbox.visual.markup import element, number


def test_text_and_attributes_are_escaped_once() -> None:
    inner = element("b", "<i>&")
    assert element("p", inner, [" ", None, "x"], title='"<', class_="y") == (
        '<p title="&quot;&lt;" class="y"><b>&lt;i&gt;&amp;</b> x</p>'
    )


def test_flags_and_names() -> None:
    assert element("input", checked=True, disabled=None, aria_label="a") == '<input checked aria-label="a">'
    assert (
        element("svg", element("line", x1=0), viewBox="0 0 1 1")
        == '<svg viewBox="0 0 1 1"><line x1="0"/></svg>'
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (50_000, "50,000"),
        (1800.0, "1,800"),
        (12.3456, "12.35"),
        (0.00021, "0.00021"),
        (-0.5, "-0.5"),
        (1e-9, "1e-09"),
        (123_456.7, "123,457"),
        (0.0, "0"),
        (True, "True"),
        ("x", "x"),
        (None, "-"),
        (float("-inf"), "-infinite"),
        (1e300, "1e+300"),
    ],
)
def test_numbers_as_people_write_them(value: object, text: str) -> None:
    assert number(value) == text
