"""Curves of losses as inline SVG: small, without scripts, values on hover."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolbox.visual.markup import Markup, element, number

Floats = NDArray[np.float64]

WIDTH, HEIGHT = 560, 270
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 26, 44  # margins of the plotting area
MAX_POINTS = 500  # of a curve
MAX_LINES = 7  # of a chart
BANDS = 72  # columns that show the values under the pointer
SCALE_JUMP = 25.0  # terms whose sizes differ by more than this get charts of their own


@dataclass
class Series:
    """One curve: ``y`` (n,) at iterations ``x`` (n,); ``y`` may hold values that are not finite."""

    name: str
    x: Floats
    y: Floats

    @property
    def n_bad(self) -> int:
        """Readings that are not finite."""
        return int((~np.isfinite(self.y)).sum())

    @property
    def size(self) -> float:
        """Typical magnitude: the median of |y|."""
        finite = np.abs(self.y[np.isfinite(self.y)])
        return float(np.median(finite)) if len(finite) else 0.0


def loss_charts(scalars: Sequence[dict[str, Any]]) -> list[Markup]:
    """A chart for each group of a run's loss terms: discriminator side, generator side, the rest by name.

    Args:
        scalars: records with 'iteration', 'kimg' and '<objective>/<network>' values, in order.
    """
    x = np.array([record["iteration"] for record in scalars], dtype=float)
    kimg = np.array([_float(record.get("kimg")) for record in scalars])
    charts = []
    for title, group in _groups(scalars, x).items():
        parts = _by_size(group)
        for i, part in enumerate(parts, start=1):
            name = f"{title} ({i} of {len(parts)})" if len(parts) > 1 else title
            charts.append(line_chart(name, part, x, kimg))
    return charts


def line_chart(title: str, series: Sequence[Series], x: Floats, kimg: Floats) -> Markup:
    """A figure: the curves smoothed, the readings faintly behind, names and last values below.

    Args:
        title: of the figure.
        series: the curves.
        x: (n,) iterations of all readings, increasing.
        kimg: (n,) thousands of images shown by then; NaN where unknown.
    """
    smooth = [smoothed(s.y) for s in series]
    frame = _Frame.around(series, smooth, x)
    lines = [_curve(frame, s.x, s.y, f"raw c{i}") for i, s in enumerate(series)]
    for i, (s, y) in enumerate(zip(series, smooth, strict=True)):
        lines.append(_curve(frame, s.x, y, f"smooth c{i}"))
    picture = element(
        "svg",
        frame.axes(x, kimg),
        element("g", *lines),
        _bands(frame, series, smooth, x, kimg),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"{title}: curves over iterations",
    )
    cut = sum(int((~frame.holds(s.y) & np.isfinite(s.y)).sum()) for s in series)
    parts = [element("figcaption", title), picture, _legend(series, smooth)]
    if cut:
        parts.append(element("p", f"{number(cut)} outlying readings lie beyond the frame.", class_="faint"))
    return element("figure", *parts, class_="chart")


def smoothed(y: Floats) -> Floats:
    """Centred moving average over a twentieth of the readings, without those that are not finite.

    Args:
        y: (n,). Fewer than 40 readings come back as they are.
    """
    width = len(y) // 20
    if width < 2:
        return y
    window = np.ones(2 * (width // 2) + 1)
    good = np.isfinite(y)
    total = np.convolve(np.where(good, y, 0.0), window, mode="same")
    count = np.convolve(good.astype(float), window, mode="same")
    return np.where(good, total / np.maximum(count, 1.0), np.nan)


def thinned(x: Floats, y: Floats, points: int = MAX_POINTS) -> tuple[Floats, Floats]:
    """At most ``points`` of the readings: the lowest and the highest of each stretch, so no peak is lost."""
    if len(x) <= points:
        return x, y
    kept: list[int] = []
    for stretch in np.array_split(np.arange(len(x)), points // 2):
        values = np.where(np.isfinite(y[stretch]), y[stretch], np.nan)
        if np.isnan(values).all():
            kept.append(int(stretch[0]))
        else:
            kept += sorted({int(stretch[np.nanargmin(values)]), int(stretch[np.nanargmax(values)])})
    return x[kept], y[kept]


def nice_ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Round numbers within [low, high], some ``wanted`` of them, at steps of 1, 2 or 5 times a power of ten.

    >>> nice_ticks(0.0, 1.0)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = min((m * power for m in (1, 2, 5, 10)), key=lambda s: abs(math.log(s / rough)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


@dataclass
class _Frame:
    """The plotting area and the values at its edges."""

    x0: float
    x1: float
    y0: float
    y1: float

    @classmethod
    def around(cls, series: Sequence[Series], smooth: Sequence[Floats], x: Floats) -> _Frame:
        """All of the smoothed curves, and 98 % of each curve's readings."""
        raw = [np.percentile(y, (1, 99)) for s in series if len(y := s.y[np.isfinite(s.y)])]
        values = np.concatenate([*raw, *(y[np.isfinite(y)] for y in smooth)])
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
        pad = 0.06 * (high - low) or max(abs(high) * 0.1, 0.5)
        x0, x1 = float(x.min()), float(x.max())
        return cls(x0, x1 if x1 > x0 else x0 + 1.0, low - pad, high + pad)

    def px(self, x: Any) -> Any:
        return LEFT + (x - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def py(self, y: Any) -> Any:
        return HEIGHT - BOTTOM - (y - self.y0) / (self.y1 - self.y0) * (HEIGHT - TOP - BOTTOM)

    def holds(self, y: Floats) -> NDArray[np.bool_]:
        return (y >= self.y0) & (y <= self.y1)

    def axes(self, x: Floats, kimg: Floats) -> Markup:
        """Horizontal rules with their values; iterations, and thousands of images under them."""
        rules = []
        for value in nice_ticks(self.y0, self.y1):
            height, text_height = _r(self.py(value)), _r(self.py(value) + 3.5)
            rules += [
                element("line", x1=LEFT, x2=WIDTH - RIGHT, y1=height, y2=height, class_="rule"),
                element("text", _short(value), x=LEFT - 8, y=text_height, class_="tick", text_anchor="end"),
            ]
        known = np.isfinite(kimg)
        ticks = []
        for value in nice_ticks(self.x0, self.x1):
            at = {"x": _r(self.px(value)), "text_anchor": "middle"}
            ticks.append(element("text", _short(value), y=HEIGHT - BOTTOM + 17, class_="tick", **at))
            if known.any():
                shown = float(np.interp(value, x[known], kimg[known]))
                below = element("text", _short(shown), y=HEIGHT - BOTTOM + 31, class_="tick faint", **at)
                ticks.append(below)
        names = [element("text", "iteration", x=2, y=HEIGHT - BOTTOM + 17, class_="tick")]
        if known.any():
            names.append(element("text", "kimg", x=2, y=HEIGHT - BOTTOM + 31, class_="tick faint"))
        return element("g", rules, ticks, names)


def _curve(frame: _Frame, x: Floats, y: Floats, kind: str) -> Markup:
    x, y = thinned(x, y)
    points = list(zip(frame.px(x), frame.py(np.clip(y, frame.y0, frame.y1)), strict=True))
    if int(np.isfinite(y).sum()) == 1:
        return _dots(points, kind)
    steps, pen_down = [], False
    for px, py in points:
        if math.isfinite(py):
            steps.append(f"{'L' if pen_down else 'M'}{_r(px)} {_r(py)}")
        pen_down = math.isfinite(py)
    return element("path", d="".join(steps), class_=kind)


def _dots(points: Sequence[tuple[float, float]], kind: str) -> Markup:
    """Dots, for a curve too short to be a line."""
    dots = [element("circle", cx=_r(px), cy=_r(py), r=3) for px, py in points if math.isfinite(py)]
    return element("g", dots, class_=kind.replace("raw", "dot").replace("smooth", "dot"))


def _bands(
    frame: _Frame, series: Sequence[Series], smooth: Sequence[Floats], x: Floats, kimg: Floats
) -> Markup:
    """Invisible columns that show the values under the pointer."""
    at = x[np.unique(np.linspace(0, len(x) - 1, BANDS).round().astype(int))]
    middles = (at[1:] + at[:-1]) / 2
    starts, ends = np.append(frame.x0, middles), np.append(middles, frame.x1)
    bands = [
        _band(frame, series, smooth, float(value), float(start), float(end), _value_at(value, x, kimg))
        for value, start, end in zip(at, starts, ends, strict=True)
    ]
    return element("g", bands)


def _band(
    frame: _Frame,
    series: Sequence[Series],
    smooth: Sequence[Floats],
    value: float,
    start: float,
    end: float,
    kimg: float,
) -> Markup:
    left, right = frame.px(start), frame.px(end)
    middle = _r(frame.px(value))
    where = f"iteration {number(value)}"
    if math.isfinite(kimg):
        where += f", {number(round(kimg, 1))} kimg"
    found = []
    for i, (s, curve) in enumerate(zip(series, smooth, strict=True)):
        y = _value_at(value, s.x, curve)
        if math.isfinite(y):
            found.append((i, s.name, y))
    words = [element("tspan", f" \u00a0{_short(y)}", class_=f"t{i}") for i, _, y in found]
    dots = [element("circle", cx=middle, cy=_r(frame.py(y)), r=2.6, class_=f"d{i}") for i, _, y in found]
    readout = element(
        "g",
        element("line", x1=middle, x2=middle, y1=TOP, y2=HEIGHT - BOTTOM),
        dots,
        element("text", where, words, x=WIDTH - RIGHT, y=TOP - 10, text_anchor="end"),
        class_="read",
    )
    lines = [where, *(f"{name}: {number(y)}" for _, name, y in found)]
    width = _r(max(right - left, 0.5))
    rect = element("rect", x=_r(left), y=TOP, width=width, height=HEIGHT - TOP - BOTTOM)
    return element("g", element("title", "\n".join(lines)), rect, readout, class_="band")


def _legend(series: Sequence[Series], smooth: Sequence[Floats]) -> Markup:
    items = []
    for i, (s, y) in enumerate(zip(series, smooth, strict=True)):
        finite = y[np.isfinite(y)]
        words = number(float(f"{finite[-1]:.4g}")) if len(finite) else "never a finite number"
        if len(finite) and s.n_bad:
            words += f" ({number(s.n_bad)} readings not finite)"
        items.append(element("li", element("i", class_=f"b{i}"), s.name, " ", element("b", words)))
    return element("ul", items, class_="legend")


def _groups(scalars: Sequence[dict[str, Any]], x: Floats) -> dict[str, list[Series]]:
    keys = dict.fromkeys(key for record in scalars for key in record)  # a set in order
    names = [key for key in keys if key not in ("iteration", "kimg")]
    groups: dict[str, list[Series]] = {}
    for name in names:
        rows = [i for i, record in enumerate(scalars) if _is_number(record.get(name))]
        if rows:
            title, label = _side(name)
            y = np.array([float(scalars[i][name]) for i in rows])
            groups.setdefault(title, []).append(Series(label, x[rows], y))
    first = ["Discriminator side", "Generator side"]
    return {title: groups[title] for title in [*first, *sorted(set(groups) - set(first))] if title in groups}


def _side(name: str) -> tuple[str, str]:
    """The group that a scalar belongs to, and what it is called there."""
    term, _, network = name.rpartition("/")
    if not term:
        return "Other readings", name
    for side in ("discriminator", "generator"):
        if network == side:
            return f"{side.capitalize()} side", term
        if network.endswith(side):
            return f"{side.capitalize()} side", f"{term} ({network})"
    return network.replace("_", " ").capitalize(), term


def _by_size(group: list[Series]) -> list[list[Series]]:
    """Charts of at most seven lines whose sizes can share an axis, larger terms first."""
    charts: list[list[Series]] = []
    for series in sorted(group, key=lambda s: -s.size):
        last = charts[-1] if charts else []
        small = bool(last) and series.size > 0 and last[0].size > SCALE_JUMP * series.size
        if not last or len(last) >= MAX_LINES or small:
            charts.append([series])
        else:
            last.append(series)
    order = {id(series): place for place, series in enumerate(group)}  # one colour a term on both sides
    return [sorted(chart, key=lambda s: order[id(s)]) for chart in charts]


def _value_at(value: float, x: Floats, y: Floats) -> float:
    return float(y[np.abs(x - value).argmin()]) if len(x) else math.nan


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _float(value: Any) -> float:
    return float(value) if _is_number(value) else math.nan


def _short(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 1 else f"{value:.3g}"


def _r(value: Any) -> str:
    return f"{float(value):.1f}".removesuffix(".0")
