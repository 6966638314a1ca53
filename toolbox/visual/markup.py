"""HTML and SVG that escape by construction: text becomes markup only through :func:`element`."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable
from typing import Any

_VOID = {"br", "circle", "hr", "img", "input", "line", "link", "meta", "path", "rect"}


class Markup(str):
    """Text that is already HTML. Anything else is escaped when it is put into an element."""

    __slots__ = ()


def element(name: str, *children: Any, **attributes: Any) -> Markup:
    """``<name attributes>children</name>``.

    Args:
        name: of the element.
        children: Markup as it is, text escaped, None left out, lists flattened.
        attributes: a trailing underscore is dropped (``class_``), other underscores become hyphens; None
            leaves the attribute out and True writes it without a value.
    """
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID and not children:
        end = "" if name in ("br", "hr", "img", "input", "meta") else "/"  # of SVG they must be closed
        return Markup(f"<{name}{written}{end}>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Iterable[Any]) -> Markup:
    """Children one after the other, text escaped."""
    return Markup("".join(_child(child) for child in children))


def number(value: Any, digits: int = 4) -> str:
    """A number as people write it: 50,000 and 12.35 and 0.00021; a word where it is none.

    >>> number(50000), number(12.3456), number(0.00021), number(float("nan")), number(None)
    ('50,000', '12.35', '0.00021', 'not a number', '-')
    """
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        if math.isnan(value):
            return "not a number"
        return "infinite" if value > 0 else "-infinite"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if 1e-5 <= abs(value) < 10**digits:
        return f"{value:.{digits}g}" if abs(value) >= 1e-4 else f"{value:.8f}".rstrip("0")
    return f"{value:,.0f}" if 10**digits <= abs(value) < 1e9 else f"{value:.3g}"


def _child(child: Any) -> str:
    if child is None:
        return ""
    if isinstance(child, Markup):
        return child
    if isinstance(child, (list, tuple)):
        return join(child)
    return html.escape(str(child))


def _attribute(key: str, value: Any) -> str:
    if value is None or value is False:
        return ""
    name = key.rstrip("_").replace("_", "-") if key != "viewBox" else key
    return f" {name}" if value is True else f' {name}="{html.escape(str(value))}"'
