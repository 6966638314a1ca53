"""A conditioner of semantic masks: fakes show the parts that real images have, or that somebody painted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolbox.data.base import checked_mask
from toolbox.interfaces import Condition, Conditioner, Request, Sample
from toolbox.ranges import check_whole

STYLE = "style"  # entry of a condition's ``extra``: images whose style the fakes have
SHOWN = 6  # masks that a picture has a row for


class MaskConditions(Conditioner):
    """Masks of real images, and in training the images themselves as an example of their style.

    In training the fakes have the masks of the real images beside them; ``extra['style']`` holds these
    images, for a generator that encodes them (SPADE). A sampler draws from ``bank`` masks of the training
    set, or is given one; so does an evaluation. The bank is part of checkpoints and releases, a byte a pixel.

    Args:
        part_names: what the numbers in the masks mean; checked against the data's.
        bank: how many masks are kept to draw from, evenly spread over the training set.
        own_masks: False: fakes have masks of the bank, not those of the real batch, and no style.

    Raises:
        ValueError: for fewer than two parts.
    """

    on_host = True
    grants = ("mask",)
    masks: Tensor

    def __init__(self, part_names: Sequence[str], bank: int = 256, own_masks: bool = True) -> None:
        super().__init__()
        check_whole(1, bank=bank)
        if isinstance(part_names, str) or len(part_names) < 2:
            raise ValueError(
                f"part_names={part_names!r}: name at least two parts; does the data set have masks?"
            )
        self.part_names = list(part_names)
        self.bank = bank
        self.own_masks = own_masks
        self.register_buffer("masks", torch.zeros(0, 0, 0, dtype=torch.uint8))  # (M, H, W)

    def prepare(self, dataset: Any, game: Any) -> None:
        """Keep masks of the training set.

        Raises:
            ValueError: for data without masks, or with other parts.
            DataError: for a mask that does not fit its image or its parts.
        """
        if not getattr(dataset, "masks", False):
            raise ValueError(
                "MaskConditions needs masks: give the training data dict(type='Stream', masks=True, ...), of "
                "a source that has them"
            )
        source = dataset.source
        if list(source.part_names) != self.part_names:
            raise ValueError(
                f"conditioner.part_names are {', '.join(self.part_names)}; {source.title} has the parts "
                f"{', '.join(source.part_names)}"
            )
        chosen = np.linspace(0, len(source) - 1, min(self.bank, len(source))).astype(int)
        self.masks = torch.from_numpy(np.stack([checked_mask(source, int(i)) for i in chosen]))

    def of_real(self, real: Sample, rng: torch.Generator) -> Condition | None:
        """The real images' own masks, and the images as examples of style."""
        if not self.own_masks:
            return None
        if real.condition.mask is None:
            raise ValueError("MaskConditions: the batch has no masks (dict(type='Stream', masks=True, ...))")
        return Condition(mask=real.condition.mask, extra={STYLE: real.images})

    def sample(self, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Condition:
        """Masks of the bank."""
        masks = self._known()
        return Condition(mask=masks[torch.randint(len(masks), (n,), generator=rng)].long())

    def requests(self) -> dict[str, dict[str, Request]]:
        """Some masks of the bank, by number."""
        if not len(self.masks):
            return {}
        rows = np.linspace(0, len(self.masks) - 1, min(SHOWN, len(self.masks))).astype(int)
        return {"mask": {f"mask {row}": Request(mask=self.masks[row].long().cpu()) for row in rows.tolist()}}

    def fulfil(self, request: Request, n: int, rng: torch.Generator) -> Condition:
        """A mask n times, or masks of the bank.

        Raises:
            ValueError: for a mask of another size or with other parts, or for anything but a mask.
        """
        self.label_of(request)  # refuses what is not granted
        if request.mask is None:
            return self.sample(n, rng)
        self.check_mask(request.mask)
        return Condition(mask=request.mask.long().cpu().expand(n, -1, -1).clone())

    def check_mask(self, mask: Tensor) -> None:
        """Refuse a mask (H, W) that no image of this run can have.

        Raises:
            ValueError: naming its size, or the part that there is not.
        """
        size = tuple(self._known().shape[1:])
        if tuple(mask.shape) != size:
            found = "x".join(map(str, reversed(mask.shape)))
            raise ValueError(f"the mask is {found} pixels; this run's masks are {size[1]}x{size[0]}")
        low, high = int(mask.min()), int(mask.max())
        if low < 0 or high >= len(self.part_names):
            wrong = low if low < 0 else high
            raise ValueError(
                f"the mask has part {wrong}; this run's parts are 0 to {len(self.part_names) - 1}: "
                f"{', '.join(self.part_names)}"
            )

    def _known(self) -> Tensor:
        if not len(self.masks):
            raise ValueError("no masks are known: prepare the conditioner, or load a checkpoint")
        return self.masks

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        saved = state_dict.get(f"{prefix}masks")
        if saved is not None:  # its number and size are the data's: take the saved ones
            self.masks = torch.zeros_like(saved, device="cpu")
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
