"""Bars and matrices as PNG, through matplotlib without its global state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from toolbox.visual.grids import Picture, save_picture
from toolbox.visual.markup import number

_INK, _FAINT, _LINE, _BAR = "#26262a", "#707078", "#e2e0db", "#2b6cb0"
_MOST_NUMBERS = 24  # cells a side up to which a matrix shows its numbers
_MOST_NAMES = 60  # beyond that, only every second, third ... row and column is named
_DPI = 144


def bar_chart(
    values: Mapping[str, float],
    path: str | Path,
    title: str | None = None,
    unit: str = "",
    errors: Mapping[str, float] | None = None,
) -> Path:
    """Horizontal bars, one a name, with their numbers. Returns the path of the PNG.

    Args:
        values: a number by name; one that is not finite gets a word instead of a bar.
        path: PNG to write.
        title: line above.
        unit: what the numbers count.
        errors: half width of an error bar, by name.

    Raises:
        ValueError: without values, or for an error bar of an unknown name.
    """
    if not values:
        raise ValueError("values is empty: a bar chart needs at least one number")
    unknown = sorted(set(errors or {}) - set(values))
    if unknown:
        raise ValueError(f"errors names {', '.join(unknown)}; values has {', '.join(values)}")
    figure, axes = _figure(6.4, 0.9 + 0.34 * len(values), title)
    numbers = np.array([float(value) for value in values.values()])
    spread = np.array([float((errors or {}).get(name, 0.0)) for name in values])
    finite, places = np.where(np.isfinite(numbers), numbers, 0.0), np.arange(len(numbers))
    axes.barh(places, finite, height=0.62, color=_BAR, xerr=spread if errors else None, ecolor=_INK)
    axes.set_yticks(places, list(values), parse_math=False)
    axes.invert_yaxis()
    for place, value, end in zip(places, numbers, finite + np.sign(finite) * spread, strict=True):
        side = 1 if end >= 0 else -1
        axes.annotate(
            number(float(value)),
            (end, place),
            (5 * side, 0),
            textcoords="offset points",
            va="center",
            ha="left" if side > 0 else "right",
            color=_INK,
        )
    axes.margins(x=0.14)
    axes.set_xlabel(unit, color=_FAINT, parse_math=False)
    axes.grid(axis="x", color=_LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    return save_picture(_drawn(figure), path)


def heatmap(
    matrix: ArrayLike,
    row_names: Sequence[str],
    column_names: Sequence[str],
    path: str | Path,
    title: str | None = None,
    row_title: str = "",
    column_title: str = "",
) -> Path:
    """A matrix as coloured cells with their numbers: confusions, consistencies. Returns the path of the PNG.

    Args:
        matrix: (R, C) numbers; cells that are not finite are left grey.
        row_names, column_names: R and C texts.
        path: PNG to write.
        title, row_title, column_title: what the matrix, its rows and its columns are.

    Raises:
        ValueError: when the names do not fit the matrix.
    """
    cells = np.asarray(matrix, dtype=np.float64)
    if cells.shape != (len(row_names), len(column_names)) or not cells.size:
        raise ValueError(
            f"matrix has shape {cells.shape}: expected (row_names, column_names) = "
            f"({len(row_names)}, {len(column_names)}), not empty"
        )
    side = 0.5 if max(cells.shape) <= _MOST_NUMBERS else 0.2
    figure, axes = _figure(1.8 + side * cells.shape[1], 1.6 + side * cells.shape[0], title)
    axes.set_facecolor("#cfcfd2")
    axes.imshow(np.ma.masked_invalid(cells), cmap="Blues", aspect="equal")
    rows, columns = (range(0, n, 1 + n // _MOST_NAMES) for n in cells.shape)
    axes.set_xticks(
        columns,
        [column_names[i] for i in columns],
        rotation=40,
        ha="right",
        rotation_mode="anchor",
        parse_math=False,
    )
    axes.set_yticks(rows, [row_names[i] for i in rows], parse_math=False)
    axes.set_xlabel(column_title, color=_FAINT, parse_math=False)
    axes.set_ylabel(row_title, color=_FAINT, parse_math=False)
    if max(cells.shape) <= _MOST_NUMBERS:
        _write_numbers(axes, cells)
    return save_picture(_drawn(figure), path)


def _write_numbers(axes: Any, cells: NDArray[np.float64]) -> None:
    finite = cells[np.isfinite(cells)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
    whole = bool((finite == finite.round()).all())
    for (row, column), value in np.ndenumerate(cells):
        if np.isfinite(value):
            dark = value > low + 0.55 * (high - low)
            axes.text(
                column,
                row,
                f"{value:.0f}" if whole else f"{value:.2f}",
                ha="center",
                va="center",
                fontsize=7.5,
                color="white" if dark else _INK,
            )


def _figure(width: float, height: float, title: str | None) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    axes.tick_params(colors=_INK, length=0, labelsize=9)
    for edge in axes.spines.values():
        edge.set_visible(False)
    if title:
        figure.suptitle(title, color=_INK, fontsize=11, x=0.01, ha="left", parse_math=False)
    return figure, axes


def _drawn(figure: Any) -> Picture:
    """The pixels of a figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
