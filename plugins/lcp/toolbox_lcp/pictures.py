"""What the authors show of LCP-GAN: clusters beside real images, paths between them, words of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
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
    """A row a cluster: real images with the largest u_x (left), images generated with one-hot u (right)."""
    conditioner = sampler.game.conditioner
    layout = conditioner.layout
    latents = torch.arange(columns)
    rows = []
    names = []
    for name, size in zip(layout.class_names[:CLASSES], layout.sizes, strict=False):
        for i in range(size):
            rows.append(real_images(real, _most_typical(conditioner, name, i, columns), fill=columns))
            generated = sampler(latents, condition=conditioner.by_cluster(name, i, columns))
            rows.append(generated.images.cpu())
            names.append(f"{name} {i}")
    caption = (
        "Clusters: real images with the largest coefficient (left half) and images "
        "generated from this cluster alone (right half), the same latents in every row."
    )
    add_picture(folder, "clusters", torch.cat(rows), caption, 2 * columns, names)


def _most_typical(conditioner: ClusterConditions, name: str, cluster: int, n: int) -> np.ndarray:
    """Numbers of the n images (or fewer) of a class with the largest u_x in one of its clusters."""
    own = conditioner.labels.cpu() == conditioner.layout.class_index(name)
    u = conditioner.coefficients.cpu()[:, cluster]  # (N,)
    share = torch.where(own, u, torch.full((), -1.0))
    return share.argsort(descending=True, stable=True)[: min(n, int(own.sum()))].numpy()


def draw_interpolations(sampler: Any, folder: Path, steps: int = 8) -> None:
    """A row a class: one latent, the embedding moving from its first cluster to its second."""
    conditioner = sampler.game.conditioner
    layout = conditioner.layout
    shown = [name for name in layout.class_names if layout.sizes[layout.class_index(name)] > 1][:CLASSES]
    same = torch.full((steps,), 1)  # one latent for the whole row
    rows = [sampler(same, condition=conditioner.interpolation(name, 0, 1, steps)).images for name in shown]
    caption = "Between the embeddings of clusters 0 and 1 of each class, the latent fixed."
    add_picture(folder, "interpolations", torch.cat(rows), caption, steps, shown)


def tabulate_prompts(name: str, prompts: ClusterPrompts, clip: Any, folder: Path) -> None:
    """Class, cluster, and the nearest word of each context slot with its distance."""
    words = prompts.nearest_words(clip, top=1)
    rows = [
        [prompt, *(_nearest_word(found) for found in slots)]
        for prompt, slots in zip(prompts.layout.names, words, strict=True)
    ]
    columns = ["prompt", *(f"slot {i + 1}" for i in range(len(words[0])))]
    title = f"{name}: nearest word of each context vector (Euclidean distance)"
    add_table(folder, f"{name}-words", title, columns, rows)


def _nearest_word(found: Sequence[tuple[str, float]]) -> str:
    if not found:
        return "-"
    word, distance = found[0]
    return f"{word} ({distance:.2f})"
