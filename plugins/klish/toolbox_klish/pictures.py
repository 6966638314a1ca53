"""What merging looks like: the tree, and the curve of IoU over K."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolbox_klish.klish import KLiSH

_INK, _FAINT, _LINE, _BAR = "#26262a", "#707078", "#e2e0db", "#2b6cb0"
_DPI = 144


def draw_tree(model: KLiSH, path: str | Path, title: str = "") -> Path:
    """The merge tree: K falls from left to right, each joint is coloured by the IoU of the cluster that was removed there.

    Leaves are the first clusters with their shares of the rows; the ECoS with the cluster that took it in stands at each joint.

    Args:
        model: fitted. path: PNG to write. title: line above.
    """
    many = model.clusters_
    figure, axes = _figure(9.0, 1.2 + 0.22 * many, title)
    places, rows = leaf_places(model), model.sizes_[0] / model.sizes_[0].sum()
    height, since = {leaf: places[leaf] for leaf in range(many)}, dict.fromkeys(range(many), 0)
    colours = _Colours()
    for step, (kept, removed, node) in enumerate(model.nodes_.tolist()):
        _, taken, place = model.merges_[step]
        at, colour = step + 1, colours(float(model.iou_[step, place]))
        for old in (kept, removed):
            axes.plot([since[old], at], [height[old]] * 2, color=_FAINT, linewidth=0.9)
        axes.plot([at, at], [height[kept], height[removed]], color=colour, linewidth=2.4, solid_capstyle="round")
        height[node], since[node] = (height[kept] + height[removed]) / 2, at
        if many <= 40:
            axes.annotate(f"{model.ecos_[step, taken]:.2f}", (at, max(height[kept], height[removed])), (0, -7),
                          textcoords="offset points", ha="center", fontsize=5.5, color=_FAINT)
    axes.set_yticks(places, [f"{leaf}  {100 * rows[leaf]:.1f} %" for leaf in range(many)], fontsize=6.5)
    ticks = range(0, len(model.merges_) + 1, max(1, many // 12))
    axes.set_xticks(list(ticks), [str(many - step) for step in ticks])
    axes.set_xlabel("clusters left; joints: colour = IoU of the removed cluster, number = ECoS with the one that took it in",
                    color=_FAINT)
    axes.invert_yaxis()
    figure.colorbar(colours.scale, ax=axes, fraction=0.025, pad=0.01).ax.tick_params(labelsize=7)
    return _save(figure, path)


def draw_iou(model: KLiSH, path: str | Path, title: str = "", low: float = 0.8) -> Path:
    """Lowest and median IoU at every K, and the number of clusters below ``low``: where to stop is read off here.

    Args:
        model: fitted. path: PNG to write. title: line above. low: what counts as badly separable.
    """
    figure, axes = _figure(7.0, 3.2, title)
    k = model.clusters_ - np.arange(len(model.iou_))
    axes.plot(k, np.nanmin(model.iou_, axis=1), color=_BAR, linewidth=1.6, label="lowest IoU")
    axes.plot(k, np.nanmedian(model.iou_, axis=1), color=_FAINT, linewidth=1.0, label="median IoU")
    axes.bar(k, np.nanmean(np.where(np.isnan(model.iou_), np.nan, model.iou_ < low), axis=1), color=_LINE, width=0.9,
             label=f"share of clusters below {low:g}", zorder=0)
    axes.invert_xaxis()
    axes.set_xlabel("clusters", color=_FAINT)
    axes.set_ylim(0, 1.03)
    axes.legend(frameon=False, fontsize=7)
    return _save(figure, path)


def leaf_places(model: KLiSH) -> NDArray[np.int64]:
    """(K0) height of each leaf, so that no two branches cross."""
    inside: dict[int, list[int]] = {leaf: [leaf] for leaf in range(model.clusters_)}
    for kept, removed, node in model.nodes_.tolist():
        inside[node] = inside.pop(kept) + inside.pop(removed)
    return np.argsort([leaf for group in inside.values() for leaf in group])


class _Colours:
    """IoU to colour: red = inseparable, blue = separable."""

    def __init__(self) -> None:
        from matplotlib import colormaps
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        self.scale = ScalarMappable(Normalize(0, 1), colormaps["coolwarm_r"])

    def __call__(self, iou: float) -> Any:
        return self.scale.to_rgba(np.array(iou))


def _figure(width: float, height: float, title: str) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=10, color=_INK, loc="left")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=7.5, colors=_FAINT)
    return figure, axes


def _save(figure: Any, path: str | Path) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path
