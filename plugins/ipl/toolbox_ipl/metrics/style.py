"""SIFID: how near an image is to a reference picture in texture and style."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from toolbox.catalog import near_miss
from toolbox.interfaces import Sample
from toolbox.models.extractors import resize
from toolbox.ranges import check_whole
from toolbox_ipl.metrics.formulas import single_image_distance
from toolbox_ipl.metrics.references import References, picture_files, read_pictures
from toolbox_ipl.metrics.rows import RowMetric, as_on_disk, mean_and_spread
from toolbox_ipl.networks.maps import InceptionMaps, Maps, ToyClipMaps

NETWORKS = ("inception", "toy-clip")


class SIFID(RowMetric):
    """Single-image Frechet distance (SinGAN, Shaham et al. 2019) to reference pictures; >= 0, less is nearer.

    SIFID(x, r) = |m_x - m_r|^2 + tr(C_x + C_r - 2 (C_x C_r)^(1/2)), where mean m and covariance C (n - 1) are
    over the positions of one feature map. For each reference the mean over all generated images (N, 3, H, W)
    in [-1, 1] is taken, as IPL does with three references of a domain. It follows blur and resolution more
    than taste: values of other sizes, layers and references do not compare.

    Args:
        references: a folder of pictures, or a list of files.
        network: 'inception': torchvision's, from a file; 'toy-clip': the shipped toy CLIP's first layers,
            where there is no file, named so.
        weights: ``inception_v3_google-0cc3c7bd.pth``, of 'inception'.
        layer: 192, the channels before the second pooling (SinGAN's paper), or 64, before the first (its
            first script); of 'inception'. The two differ by a factor of 20.
        size: images and references are brought to this square, in pixels.
        sha256: what the digest of the weights must begin with; None accepts any file that fits.
        n_fake: how many images; None: as many as are fed. IPL takes 5,000.

    ``compute`` gives the mean over references ('') and each reference's own value ('R1', 'R2', ...).

    >>> SIFID(references=[], network="toy-clip")
    Traceback (most recent call last):
    ValueError: references is empty: give a folder, or a list of picture files
    """

    needs = ("fake",)
    title = "sifid"

    def __init__(
        self,
        references: References,
        network: str = "inception",
        weights: str | Path | None = None,
        layer: int = 192,
        size: int = 256,
        sha256: str | None = "0cc3c7bd",
        n_fake: int | None = None,
    ) -> None:
        super().__init__(n_fake)
        check_whole(16, size=size)
        if network not in NETWORKS:
            hint = near_miss(str(network), NETWORKS)
            raise ValueError(f"network={network!r}{hint}; allowed: {', '.join(NETWORKS)}")
        if network == "toy-clip" and weights is not None:
            raise ValueError(f"weights={str(weights)!r} are Inception's, and network='toy-clip' takes none")
        self.files = picture_files(references)
        self.pictures = read_pictures(self.files, size)
        self.references, self.network, self.weights = references, network, weights
        self.layer, self.size = layer, size
        self.maps: Any = _inception(weights, layer, sha256) if network == "inception" else ToyClipMaps()
        self._of_references: list[Tensor] = []

    def protocol(self) -> list[str]:
        return [self.maps.name, f"{self.size}px", f"{len(self.files)}refs"]

    def update_fake(self, sample: Sample) -> None:
        """Take in generated images."""
        images = as_on_disk(sample.images)
        if images.shape[2:] != (self.size, self.size):
            images = as_on_disk(resize(images, self.size))
        with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
            maps = self._maps_of(images)
            if not self._of_references:
                self._of_references = list(self._maps_of(self.pictures.to(images.device)))
        rows = [[single_image_distance(x, r) for r in self._of_references] for x in maps]
        self.rows.add(torch.tensor(rows, dtype=torch.float64), sample.index)

    def compute(self) -> dict[str, float]:
        values = self.checked_values()
        own = {f"R{number}": float(mean) for number, mean in enumerate(values.mean(0), 1)}
        return {"": mean_and_spread(values.mean(1))[""], **own}

    def details(self) -> dict[str, Any]:
        """What belongs into the record of a result."""
        names = [file.name for file in self.files]
        return {"n_fake": self.rows.n, "maps": self.maps.fingerprint(), "references": names}

    def _maps_of(self, images: Tensor) -> Tensor:
        maps: Tensor = self.maps.to(images.device)(images)
        return maps.double().cpu()


def _inception(weights: str | Path | None, layer: int, sha256: str | None) -> Maps:
    try:
        return InceptionMaps(weights, layer, sha256)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}; network='toy-clip' needs no file, and is named so") from None
