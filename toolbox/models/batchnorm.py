"""Which statistics the BatchNorms of a generator use. It moves FID by points, so every result must say which.

running    the running averages of training (or of its EMA copy)
batch      those of the batch at hand: an image then depends on its neighbours
standing   averages collected anew over many generated images (BigGAN, appendix B)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from toolbox.interfaces import Condition, Generator
from toolbox.models.borrowing import copy_sharing

Draw = Callable[[int, int], tuple[Tensor, Condition | None]]
"""(number of the batch, n) -> latents (n, latent_dim) and their condition."""


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """Every BatchNorm of a network that keeps running statistics."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    return [norm for norm in norms if norm.running_mean is not None]


def standing_statistics(generator: Generator, draw: Draw, batches: int = 16, batch: int = 256) -> Generator:
    """A copy in eval mode whose running statistics are the plain average over ``batches`` generated batches.

    The generator itself stays as it is. In the copy only BatchNorms run in training mode meanwhile: spectral
    normalisation does not move.

    Args:
        draw: makes what is averaged over.
        batches, batch: how many, of how many images each.

    Raises:
        ValueError: for less than one batch of two images.
    """
    if batches < 1 or batch < 2:
        raise ValueError(
            f"batches={batches}, batch={batch}: standing statistics need at least 1 batch of 2 images"
        )
    twin = copy_sharing(generator).eval()
    norms = batch_norms(twin)
    device = next(twin.parameters()).device
    for norm in norms:
        norm.reset_running_stats()
    with _set(norms, training=True, momentum=None), torch.no_grad():  # momentum None: plain average
        for number in range(batches if norms else 0):
            latents, condition = draw(number, batch)
            twin(latents.to(device), None if condition is None else condition.to(device))
    return twin


@contextmanager
def batch_statistics(network: nn.Module) -> Iterator[None]:
    """BatchNorms normalise by the batch at hand, in eval mode too; the running statistics stay untouched."""
    with _set(batch_norms(network), training=True, track_running_stats=False):
        yield


@contextmanager
def frozen_running_statistics(network: nn.Module) -> Iterator[None]:
    """A network in training mode normalises by the batch but does not track it.

    StudioGAN's habit for the generator while the discriminator trains.
    """
    with _set(batch_norms(network), track_running_stats=False):
        yield


@contextmanager
def _set(norms: list[_BatchNorm], **changes: object) -> Iterator[None]:
    """Attributes changed inside the block, and set back."""
    kept = [{name: getattr(norm, name) for name in changes} for norm in norms]
    try:
        for norm in norms:
            for name, value in changes.items():
                setattr(norm, name, value)
        yield
    finally:
        for norm, old in zip(norms, kept, strict=True):
            for name, value in old.items():
                setattr(norm, name, value)
