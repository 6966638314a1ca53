"""Networks that grow: how far, and that their weights remember it (PGGAN, fig. 2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.models.layers import upsample

LOD = "lod"  # its name in state dicts


class GrowingModule(nn.Module):
    """A network that is used up to some resolution.

    ``lod`` is a number of Python, so that no forward pass waits for a device; it is part of the state dict
    all the same. A state dict without it is that of a network that has grown fully.

    Attributes:
        sizes: all resolutions, smallest first.
        lod: how far it has grown: 0 = full resolution, 1 = without the last doubling, 0.3 = the last doubling
            is faded in by 0.7.
    """

    sizes: list[int]
    lod: float

    def _save_to_state_dict(self, destination: dict[str, Tensor], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + LOD] = torch.tensor(float(self.lod), dtype=torch.float64)

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Tensor],
        prefix: str,
        local_metadata: Mapping[str, object],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        name = prefix + LOD  # neither parameter nor buffer: torch takes it for unexpected
        unexpected_keys[:] = [key for key in unexpected_keys if key != name]
        lod = float(state_dict[name]) if name in state_dict else 0.0
        try:
            split_lod(lod, self.sizes)
        except ValueError as error:
            error_msgs.append(str(error))
        else:
            self.lod = lod


def split_lod(lod: float, sizes: Sequence[int]) -> tuple[int, float]:
    """(doublings left out, how far the next is faded out).

    Raises:
        ValueError: for a ``lod`` that the network does not have.
    """
    if isinstance(lod, bool) or not 0 <= lod <= len(sizes) - 1:
        raise ValueError(
            f"lod={lod} must be from 0 (all of {sizes[-1]}x{sizes[-1]}) to {len(sizes) - 1} (only 4x4)"
        )
    return int(lod), lod % 1


def faded(colours: Callable[[int], Tensor], lod: float, sizes: Sequence[int]) -> Tensor:
    """The colours of the last grown resolution, faded with those of the one below (fig. 2), in full size.

    Args:
        colours: k to (N, 3, sizes[k], sizes[k]).
        lod: how far the network has grown.
        sizes: all resolutions.
    """
    whole, fade = split_lod(lod, sizes)
    level = len(sizes) - 1 - whole
    image = colours(level)  # (N, 3, sizes[level], sizes[level])
    if fade:
        image = torch.lerp(image, upsample(colours(level - 1)), fade)
    return F.interpolate(image, scale_factor=2**whole, mode="nearest") if whole else image


def faded_images(images: Tensor, lod: float) -> Tensor:
    """Real images as networks of this ``lod`` are shown them, in full size.

    They are 2x2 means of 2x2 means. Between two resolutions they are cross-faded just as the generator's are
    (PGGAN, appendix A.1).

    Args:
        images: (N, C, size, size).
        lod: from 0 (as they are) to log2 size.
    """
    whole, fade = int(lod), lod % 1
    small = F.avg_pool2d(images, 2**whole) if whole else images
    if fade:
        small = torch.lerp(small, upsample(F.avg_pool2d(small, 2)), fade)
    return F.interpolate(small, scale_factor=2**whole, mode="nearest") if whole else small
