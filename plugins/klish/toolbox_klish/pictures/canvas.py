"""matplotlib figures without its global state, and the colours of their ink."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from toolbox.runs.files import write_whole
from toolbox_klish.pictures.shown import Shown

INK = "#26262a"
FAINT = "#707078"
LINE = "#e2e0db"
BAR = "#2b6cb0"
LOW = "#c2410c"
_DPI = 144


def new_figure(
    width: float, height: float, title: str = "", panels: tuple[int, int] = (1, 1)
) -> tuple[Any, Any]:
    """A figure of ``width`` x ``height`` inches, and its axes: one, or an array (rows, columns) of them."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, facecolor="white", layout="constrained")
    axes = figure.subplots(*panels)
    for one in np.atleast_1d(axes).ravel():
        one.spines[["top", "right"]].set_visible(False)
        one.spines[["left", "bottom"]].set_color(FAINT)
        one.tick_params(labelsize=8, colors=FAINT, labelcolor=INK)
    if title:
        figure.suptitle(title, fontsize=11, color=INK, x=0.01, ha="left", parse_math=False)
    return figure, axes


def save_figure(figure: Any, path: str | Path) -> Path:
    """Write a PNG whole or not at all; folders are made. Returns its path, which a notebook shows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    write_whole(path, lambda file: figure.savefig(file, format="png"))
    return Shown(path)
