"""What the authors show of LCP-GAN: clusters beside their real images, paths between clusters, words of the
prompts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from toolbox.visual.pictures import add_picture, add_table, real_images
from toolbox_lcp.conditions import ClusterConditions
from toolbox_lcp.prompts import ClusterPrompts

CLASSES = 10  # shown at most


def draw(sampler: Any, real: Any, folder: Path) -> None:
    """Pictures and tables of a trained LCP game; nothing for a game without clusters."""
    conditioner = sampler.game.conditioner
    if not isinstance(conditioner, ClusterConditions):
        return
    draw_clusters(sampler, real, folder)
    if conditioner.layout.width > 1:
        draw_interpolations(sampler, folder)
    for name, network in sampler.game.networks.items():
        prompts = getattr(network, "prompts", None)
        if isinstance(prompts, ClusterPrompts) and prompts.context.numel():
            tabulate_prompts(name, prompts, network.clip, folder)


def draw_clusters(sampler: Any, real: Any, folder: Path, columns: int = 6) -> None:
    """A row a cluster: real images with the largest u_x at the left, generated ones with one-hot u at the
    right.
    """
    conditioner = sampler.game.conditioner
    layout, coefficients, labels = (
        conditioner.layout,
        conditioner.coefficients.cpu(),
        conditioner.labels.cpu(),
    )
    rows, names = [], []
    for name in layout.class_names[:CLASSES]:
        y = layout.class_index(name)
        for i in range(layout.sizes[y]):
            share = torch.where(labels == y, coefficients[:, i], torch.full((), -1.0))
            best = share.argsort(descending=True, stable=True)[:columns]
            drawn = sampler(
                torch.arange(columns), condition=conditioner.by_cluster(name, i, columns)
            ).images.cpu()
            rows += [real_images(real, best.numpy()), drawn]
            names.append(f"{name} {i}")
    add_picture(
        folder,
        "clusters",
        torch.cat(rows),
        "Clusters: real images with the largest coefficient (left half) and images "
        "generated from this cluster alone (right half), the same latents in every row.",
        2 * columns,
        names,
    )


def draw_interpolations(sampler: Any, folder: Path, steps: int = 8) -> None:
    """A row a class: one latent, the embedding moving from its first cluster to its second."""
    conditioner = sampler.game.conditioner
    layout = conditioner.layout
    shown = [name for name in layout.class_names if layout.sizes[layout.class_index(name)] > 1][:CLASSES]
    rows = [
        sampler(torch.full((steps,), 1), condition=conditioner.interpolation(name, 0, 1, steps)).images
        for name in shown
    ]
    add_picture(
        folder,
        "interpolations",
        torch.cat(rows),
        "Between the embeddings of clusters 0 and 1 of each class, the latent fixed.",
        steps,
        shown,
    )


def tabulate_prompts(name: str, prompts: ClusterPrompts, clip: Any, folder: Path) -> None:
    """Class, cluster, and the nearest word of each context slot with its distance."""
    words = prompts.nearest_words(clip, top=1)
    titles = prompts.layout.names if len(words) == prompts.layout.total else ["all classes"]
    rows = [
        [title, *[f"{slot[0][0]} ({slot[0][1]:.2f})" if slot else "-" for slot in slots]]
        for title, slots in zip(titles, words, strict=False)
    ]
    add_table(
        folder,
        f"{name}-words",
        f"{name}: nearest word of each context vector (Euclidean distance)",
        ["prompt", *[f"slot {i + 1}" for i in range(len(rows[0]) - 1)]],
        rows,
    )
