"""Pictures of a clustering: PNGs that say in their titles what is seen. None of them needs a run's folder."""

from toolbox_klish.pictures.clusters import draw_clusters
from toolbox_klish.pictures.maps import Panel, draw_grid, draw_maps, draw_strip, paint
from toolbox_klish.pictures.palette import distinct_colours, matched_colours, tree_colours
from toolbox_klish.pictures.separability import draw_bars, draw_iou
from toolbox_klish.pictures.step import Step, confidence, draw_step, merge_step
from toolbox_klish.pictures.toy import draw_toy
from toolbox_klish.pictures.tree import draw_tree, leaf_places

__all__ = [
    "Panel",
    "Step",
    "confidence",
    "distinct_colours",
    "draw_bars",
    "draw_clusters",
    "draw_grid",
    "draw_iou",
    "draw_maps",
    "draw_step",
    "draw_strip",
    "draw_toy",
    "draw_tree",
    "leaf_places",
    "matched_colours",
    "merge_step",
    "paint",
    "tree_colours",
]
