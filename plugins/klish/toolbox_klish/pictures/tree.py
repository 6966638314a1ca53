"""The merge tree: which cluster went into which, and how separable it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from toolbox_klish.algorithm.klish import KLiSH
from toolbox_klish.pictures.canvas import FAINT, INK, LOW, new_figure, save_figure
from toolbox_klish.pictures.palette import tree_colours

_MOST_NUMBERS = 40  # leaves up to which ECoS is written at the joints


def draw_tree(
    model: KLiSH,
    path: str | Path,
    title: str = "",
    leaves: int | None = None,
    final: int | None = None,
    names: Mapping[int, str] | None = None,
) -> Path:
    """The merge tree: K falls from left to right, each joint is coloured by the IoU of the removed cluster.

    Leaves carry the colour that they have in cluster maps, their number and share of the rows; up to 40 of
    them, the ECoS with the cluster that took it in stands at each joint.

    Args:
        model: fitted.
        path: PNG to write.
        title: line above.
        leaves: begin at this K, with clusters that are merged already; None = K0.
        final: K to mark by a line.
        names: what to call leaves, by their place at ``leaves``.

    Raises:
        ValueError: when there is no record of ``leaves``.
    """
    tree = _Tree(model, model.clusters_ if leaves is None else leaves)
    figure, axes = new_figure(10.0, 1.4 + 0.19 * tree.many, title)
    colours = _Colours()
    for joint in tree.joints:
        _draw_joint(axes, joint, colours(joint.iou))
        if tree.many <= _MOST_NUMBERS:
            below = (joint.at, max(joint.heights))
            _annotate(axes, f"{joint.ecos:.2f}", below, (0, -7), ha="center", fontsize=6, color=FAINT)
    _name_leaves(axes, tree, tree_colours(model, tree.many) / 255, names or {})
    _name_steps(axes, tree, final)
    bar = figure.colorbar(
        colours.scale,
        ax=axes,
        fraction=0.022,
        pad=0.01,
        aspect=25,
        shrink=min(1, 8 / (0.19 * tree.many)),
        anchor=(0, 1),
    )
    bar.set_label("IoU of the removed cluster", fontsize=8, color=FAINT)
    bar.ax.tick_params(labelsize=7)
    return save_figure(figure, path)


def _draw_joint(axes: Any, joint: _Joint, colour: Any) -> None:
    for x, y in zip(joint.since, joint.heights, strict=True):
        axes.plot([x, joint.at], [y, y], color=FAINT, linewidth=0.9, zorder=1)
    style = dict(color=colour, linewidth=2.6, solid_capstyle="round", zorder=2)
    axes.plot([joint.at] * 2, joint.heights, **style)


def _annotate(axes: Any, text: str, at: tuple[float, float], away: tuple[int, int], **style: Any) -> None:
    """A text some points away from a place."""
    axes.annotate(text, at, away, textcoords="offset points", **style)


def leaf_places(merges: NDArray[np.int64], leaves: int) -> NDArray[np.int64]:
    """(leaves) rank of each leaf from the top, so that no two branches cross.

    Args:
        merges: rows (K, kept, removed) from K = ``leaves`` on.
        leaves: clusters before them.
    """
    groups = [[leaf] for leaf in range(leaves)]
    for _, kept, removed in merges.tolist():
        groups[kept] = groups[kept] + groups[removed]
        del groups[removed]
    return np.argsort([leaf for group in groups for leaf in group])


@dataclass(frozen=True)
class _Joint:
    """Two branches that meet.

    Attributes:
        at: the merge, counted from 1.
        since: the merge that each branch came from; 0 for a leaf.
        heights: of the branches, in lines from the top.
        iou, ecos: of the removed cluster, and of the pair.
    """

    at: int
    since: tuple[int, int]
    heights: tuple[float, float]
    iou: float
    ecos: float


class _Tree:
    """The merges from ``many`` clusters on; leaves are numbered by their place at that K."""

    def __init__(self, model: KLiSH, many: int) -> None:
        first = model.clusters_ - many
        if not 0 <= first < len(model.merges_):
            last = model.clusters_ - len(model.merges_) + 1
            raise ValueError(
                f"leaves={many!r}: merges are recorded from {model.clusters_} clusters down to {last}"
            )
        self.many = many
        self.steps = model.merges_[first:]
        self.shares = model.sizes_[first, :many] / model.sizes_[first].sum()
        self.heights = leaf_places(self.steps, many)
        self.joints: list[_Joint] = []
        present = [(0, float(height)) for height in self.heights]  # (since, height) by place
        for number, (_, kept, removed) in enumerate(self.steps.tolist()):
            one, high = present[kept]
            other, low = present[removed]
            at = number + 1
            iou = float(model.iou_[first + number, removed])
            ecos = float(model.ecos_[first + number, kept])
            self.joints.append(_Joint(at, (one, other), (high, low), iou, ecos))
            present[kept] = (at, (high + low) / 2)
            del present[removed]


class _Colours:
    """IoU to colour: red = inseparable, blue = separable."""

    def __init__(self) -> None:
        from matplotlib import colormaps
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import Normalize

        self.scale = ScalarMappable(Normalize(0, 1), colormaps["coolwarm_r"])

    def __call__(self, iou: float) -> Any:
        return self.scale.to_rgba(np.array(iou))


def _name_leaves(axes: Any, tree: _Tree, colours: NDArray[np.float64], names: Mapping[int, str]) -> None:
    texts = [f"{names.get(leaf, leaf)}  {100 * share:.1f} %" for leaf, share in enumerate(tree.shares)]
    axes.set_yticks(tree.heights, texts, parse_math=False)
    axes.tick_params(axis="y", length=0, pad=10)
    x = np.full(tree.many, -0.004)  # in axes, y in data: left of the frame at any width
    style = dict(c=colours, marker="s", s=38, clip_on=False, zorder=3)
    axes.scatter(x, tree.heights, transform=axes.get_yaxis_transform(), **style)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(tree.many - 0.4, -0.8)


def _name_steps(axes: Any, tree: _Tree, final: int | None) -> None:
    ticks = list(range(0, len(tree.steps) + 1, max(1, tree.many // 12)))
    axes.set_xticks(ticks, [str(tree.many - step) for step in ticks])
    axes.set_xlim(0, len(tree.steps) + 0.6)
    numbers = ", number at a joint: ECoS of the two" if tree.many <= _MOST_NUMBERS else ""
    axes.set_xlabel(f"number of clusters K that are left after a merge{numbers}", fontsize=8.5, color=FAINT)
    if final is not None and final < tree.many:
        axes.axvline(tree.many - final + 0.5, color=LOW, linewidth=1.0, linestyle=(0, (4, 3)), zorder=0)
        top = (tree.many - final + 0.5, 1)
        style: dict[str, Any] = dict(va="top", fontsize=8, color=INK)
        _annotate(axes, f"K = {final}", top, (3, -2), xycoords=("data", "axes fraction"), **style)
