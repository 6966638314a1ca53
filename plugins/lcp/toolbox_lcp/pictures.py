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
    draw_interpolations(sampler, folder)
    for name, network in sampler.game.networks.items():
        prompts = getattr(network, "prompts", None)
        if isinstance(prompts, ClusterPrompts) and prompts.context.numel():
            tabulate_prompts(name, prompts, network.clip, folder, conditioner)


def draw_clusters(sampler: Any, real: Any, folder: Path, columns: int = 6) -> None:
    """A row a cluster: real images with the largest u_x (left), images generated with one-hot u (right)."""
    conditioner = sampler.game.conditioner
    latents = torch.arange(columns)
    rows = []
    names = []
    for name, used in zip(conditioner.class_names[:CLASSES], conditioner.used_clusters(), strict=False):
        for i in used:
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
    """A row a class of several clusters: one latent, the embedding moving from its first to its second."""
    conditioner = sampler.game.conditioner
    clusters = zip(conditioner.class_names, conditioner.used_clusters(), strict=True)
    shown = {name: used for name, used in clusters if len(used) > 1}
    if not shown:
        return
    same = torch.full((steps,), 1)  # one latent for the whole row
    paths = [
        conditioner.interpolation(name, *used[:2], steps) for name, used in list(shown.items())[:CLASSES]
    ]
    rows = [sampler(same, condition=path).images for path in paths]
    caption = "Between the embeddings of the first two clusters of each class, the latent fixed."
    add_picture(folder, "interpolations", torch.cat(rows), caption, steps, list(shown)[:CLASSES])


def tabulate_prompts(
    name: str, prompts: ClusterPrompts, clip: Any, folder: Path, conditioner: ClusterConditions
) -> None:
    """Class, cluster in use, and the nearest word of each context slot with its distance."""
    words = prompts.nearest_words(clip, top=1)
    layout = conditioner.layout
    used = [layout.row(y, i) for y, clusters in enumerate(conditioner.used_clusters()) for i in clusters]
    unused = {name for row, name in enumerate(layout.names) if row not in used}
    rows = [
        [prompt, *(_nearest_word(found) for found in slots)]
        for prompt, slots in zip(prompts.layout.names, words, strict=True)
        if prompt not in unused
    ]
    columns = ["prompt", *(f"slot {i + 1}" for i in range(len(words[0])))]
    title = f"{name}: nearest word of each context vector (Euclidean distance)"
    add_table(folder, f"{name}-words", title, columns, rows)


def _nearest_word(found: Sequence[tuple[str, float]]) -> str:
    if not found:
        return "-"
    word, distance = found[0]
    return f"{word} ({distance:.2f})"
