"""SCS: how much of the source's structure an adapted image keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toolbox.catalog import near_miss
from toolbox.models.extractors import resize
from toolbox.ranges import check_whole, given
from toolbox_ipl.metrics.formulas import structural_consistency
from toolbox_ipl.metrics.rows import PairMetric, mean_and_spread
from toolbox_ipl.networks.hed import HED, Sobel

EDGES = ("hed", "sobel")


class StructuralConsistency(PairMetric):
    """SCS_i = 2 sum_p a_p b_p / sum_p (a_p^2 + b_p^2) of the edge maps a, b of pair i; [0, 1], more is alike.

    SCS is the mean over pairs (RSSA, Xiao et al. 2022). Takes pairs of images (N, 3, H, W) in [-1, 1] that a
    source and an adapted generator make of the same latents; a pair without any edge has 1.

    Args:
        edges: 'hed': HED's maps, from a file; 'sobel': gradients, for tests and where there is no file, under
            the name ``scs-sobel``.
        weights: ``network-bsds500.pytorch``, of 'hed'.
        size: images are resized to this square first (bicubic, antialiased), in pixels; None: as they are.
            RSSA's generators make 256 pixels; values of other sizes do not compare.
        quantise: cut edge maps to 8 bits, as RSSA's code does by way of files.
        n_fake: how many pairs; None: as many as are fed. RSSA takes 500.

    ``compute`` gives the mean (''), the standard deviation over pairs ('std') and the share of pairs without
    an edge ('edgeless').

    >>> import torch
    >>> from toolbox.interfaces import Sample
    >>> images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    >>> metric = StructuralConsistency(edges="sobel", size=32)
    >>> metric.update_pairs(Sample(images), Sample(-images))
    >>> metric.name, round(metric.compute()[""], 6)
    ('scs-sobel[32px,4]', 1.0)
    """

    title = "scs"
    higher_is_better = True

    def __init__(
        self,
        edges: str = "hed",
        weights: str | Path | None = None,
        size: int | None = 256,
        quantise: bool = False,
        n_fake: int | None = None,
    ) -> None:
        super().__init__(n_fake)
        check_whole(16, **given(size=size))
        if edges not in EDGES:
            raise ValueError(f"edges={edges!r}{near_miss(str(edges), EDGES)}; allowed: {', '.join(EDGES)}")
        if edges == "sobel" and weights is not None:
            raise ValueError(f"weights={str(weights)!r} are HED's, and edges='sobel' takes none")
        self.edges, self.weights = edges, weights
        self.size = size
        self.quantise = quantise
        self.network: HED | Sobel = _hed(weights) if edges == "hed" else Sobel()
        self.title = "scs" if edges == "hed" else "scs-sobel"  # 'scs' is HED's alone

    def protocol(self) -> list[str]:
        first = ["hed"] if self.edges == "hed" else []
        return [*first, "native" if self.size is None else f"{self.size}px", *["8bit"] * self.quantise]

    def of_pairs(self, source: Tensor, fake: Tensor) -> Tensor:
        """(N, 2): SCS, and whether neither image has an edge."""
        network = self.network.to(source.device)
        maps = [network(self._sized(images))[:, 0].cpu().numpy() for images in (source, fake)]
        edgeless = torch.tensor([not (a.any() or b.any()) for a, b in zip(*maps, strict=True)])
        values = torch.from_numpy(structural_consistency(maps[0], maps[1], self.quantise))
        return torch.stack([values, edgeless.double()], dim=1)

    def compute(self) -> dict[str, float]:
        values = self.checked_values()
        return {**mean_and_spread(values[:, 0]), "edgeless": float(values[:, 1].mean())}

    def details(self) -> dict[str, Any]:
        """What belongs into the record of a result."""
        return {"n_fake": self.rows.n, "edges": self.network.fingerprint()}

    def _sized(self, images: Tensor) -> Tensor:
        return images if self.size is None else resize(images, self.size).clamp(-1, 1)


def _hed(weights: str | Path | None) -> HED:
    try:
        return HED(weights)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}; edges='sobel' needs no file, and is called scs-sobel") from None
