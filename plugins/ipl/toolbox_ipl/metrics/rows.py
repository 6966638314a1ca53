"""Numbers kept image by image, which add up over processes in any order."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from toolbox.data.base import to_uint8
from toolbox.interfaces import Metric, Sample, from_bytes
from toolbox.ranges import check_whole, given


class Rows:
    """Rows (n, ...) by the number of their image.

    The state of a whole stream is the sum of its parts' states, to the last bit, whatever the order.
    """

    def __init__(self) -> None:
        self.n = 0
        self._parts: list[dict[str, Tensor]] = []

    def add(self, values: Tensor, index: Tensor | None) -> None:
        """Take in rows (n, ...) with the numbers (n,) of their images; without, they are counted."""
        n = len(values)
        numbers = torch.arange(self.n, self.n + n) if index is None else index.cpu().long()
        self._append(dict(index=numbers, values=values.detach().cpu()))

    def merge(self, state: dict[str, Tensor]) -> None:
        """Fold in another part's state."""
        self._append(dict(index=state["index"], values=state["values"]))

    def state(self) -> dict[str, Tensor]:
        """``index`` (n,) and ``values`` (n, ...), in the order of the index.

        Raises:
            ValueError: when an image was fed twice.
        """
        if not self._parts:
            return dict(index=torch.empty(0, dtype=torch.int64), values=torch.empty(0))
        parts = [part for part in self._parts if len(part["index"])] or self._parts[:1]
        whole = {key: torch.cat([part[key] for part in parts]) for key in ("index", "values")}
        order = whole["index"].argsort(stable=True)
        self._parts = [{key: value[order] for key, value in whole.items()}]
        index = self._parts[0]["index"]
        repeated = index[1:][index[1:] == index[:-1]]
        if len(repeated):
            raise ValueError(f"image {int(repeated[0])} was fed twice: give each its own Sample.index")
        return dict(self._parts[0])

    @property
    def values(self) -> Tensor:
        """(n, ...) in the order of the index."""
        return self.state()["values"]

    def _append(self, part: dict[str, Tensor]) -> None:
        self._parts.append(part)
        self.n += len(part["index"])


class RowMetric(Metric):
    """A metric of numbers that are kept for each image or pair.

    Args:
        n_fake: how many images or pairs the protocol takes; another number is an error at ``compute``. None:
            as many as are fed.
    """

    title: str
    least: ClassVar[int] = 1  # images that a value takes
    unit_of: ClassVar[str] = "generated images"

    def __init__(self, n_fake: int | None = None) -> None:
        check_whole(self.least, **given(n_fake=n_fake))
        self.n_fake = n_fake
        self.rows = Rows()

    @property
    def name(self) -> str:
        """``title[protocol,number]``."""
        return f"{self.title}[{','.join([*self.protocol(), _short(self.n_fake or self.rows.n)])}]"

    def protocol(self) -> list[str]:
        """What the number depends on, for the name."""
        return []

    def state(self) -> dict[str, Any]:
        return self.rows.state()

    def merge(self, state: dict[str, Any]) -> None:
        self.rows.merge(state)

    def reset(self) -> None:
        self.rows = Rows()

    def checked_values(self) -> np.ndarray:
        """(n, ...) float64 or uint8 of all images, in order.

        Raises:
            ValueError: when too few were fed, or another number than the protocol takes.
        """
        if self.n_fake is not None and self.rows.n != self.n_fake:
            raise ValueError(
                f"{self.name}: {self.rows.n} {self.unit_of} were fed, the protocol takes {self.n_fake}"
            )
        if self.rows.n < self.least:
            raise ValueError(
                f"{self.title}: {self.rows.n} {self.unit_of} were fed, at least {self.least} are needed"
            )
        return self.rows.values.numpy()


class PairMetric(RowMetric):
    """A metric of numbers of pairs: a source's image and the adapted one of the same latents."""

    needs = ("pairs",)
    unit_of = "pairs"

    def update_pairs(self, source: Sample, fake: Sample) -> None:
        """Take in N pairs.

        Raises:
            ValueError: for another shape of the two, or images that are not finite.
        """
        first, second = as_on_disk(source.images), as_on_disk(fake.images)
        if first.shape != second.shape:
            shapes = f"{tuple(first.shape)} and {tuple(second.shape)}"
            raise ValueError(f"{self.title}: source and generated images have shapes {shapes}")
        with torch.no_grad(), torch.autocast(first.device.type, enabled=False):
            values = self.of_pairs(first, second)
        self.rows.add(values.double(), fake.index)

    @abstractmethod
    def of_pairs(self, source: Tensor, fake: Tensor) -> Tensor:
        """Numbers (N, ...) of pairs of images (N, 3, H, W) in [-1, 1], rounded to 8 bits."""


def as_on_disk(images: Tensor) -> Tensor:
    """Images (N, 3, H, W) in [-1, 1], rounded to 8 bits as in a PNG file.

    Raises:
        ValueError: for another shape, or values that are not finite.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"images have shape {tuple(images.shape)}: expected (N, 3, H, W), RGB")
    bad = ~images.isfinite().flatten(1).all(dim=1)
    if bad.any():
        raise ValueError(f"image {int(bad.int().argmax())} of the batch holds values that are not finite")
    return from_bytes(to_uint8(images.float()).movedim(-1, -3))


def mean_and_spread(values: np.ndarray) -> dict[str, float]:
    """{'': mean, 'std': standard deviation (n - 1), 0 of a single value}."""
    spread = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return {"": float(values.mean()), "std": spread}


def _short(n: int) -> str:
    return f"{n // 1000}k" if n and n % 1000 == 0 else str(n)
