"""Which statistics the BatchNorms of a generator use. It moves FID by points, so every result must say which.

    running    the running averages of training (or of its EMA copy)
    batch      those of the batch at hand: an image then depends on its neighbours
    standing   running averages started anew and collected over many generated images (BigGAN, appendix B)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from toolbox.interfaces import Condition, Generator
from toolbox.models.layers import near

MODES = ("running", "batch", "standing")

Sampler = Callable[[int], tuple[Tensor, Condition | None]]
"""n -> latents (n, latent_dim) and their condition, on the generator's device."""


def batch_norms(network: nn.Module) -> list[_BatchNorm]:
    """Every BatchNorm of a network that keeps running statistics."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    return [norm for norm in norms if norm.running_mean is not None]


@contextmanager
def evaluation_statistics(generator: Generator, mode: str = "running", sampler: Sampler | None = None,
                          batches: int = 16, batch: int = 256) -> Iterator[None]:
    """Eval mode with the named statistics (one of ``MODES``); everything is as before afterwards.

    Args:
        sampler: draws what 'standing' averages over; not needed otherwise.
        batches, batch: number and size of the batches of 'standing'.

    Raises:
        ValueError: for an unknown mode, or 'standing' without a sampler.
    """
    if mode not in MODES:
        raise ValueError(f"BatchNorm statistics {mode!r} are not known; choose from {list(MODES)}{near(mode, MODES)}")
    if mode == "standing" and sampler is None:
        raise ValueError("BatchNorm statistics 'standing' need a sampler: n -> (latents, condition)")
    modes = [(module, module.training) for module in generator.modules()]
    generator.eval()
    try:
        if mode == "batch":
            with batch_statistics(generator):
                yield
        elif mode == "standing" and sampler is not None:
            with standing_statistics(generator, sampler, batches, batch):
                yield
        else:
            yield
    finally:
        for module, training in modes:
            module.training = training


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
def standing_statistics(generator: Generator, sampler: Sampler, batches: int = 16, batch: int = 256) -> Iterator[None]:
    """Running statistics replaced by the plain average over ``batches`` generated batches of ``batch`` images.

    The old ones come back at the end. Only BatchNorms run in training mode: spectral normalisation does not move.
    """
    if batches < 1 or batch < 2:
        raise ValueError(f"batches={batches}, batch={batch}: standing statistics need at least 1 batch of 2 images")
    norms = batch_norms(generator)
    kept = [{name: value.clone() for name, value in norm.named_buffers()} for norm in norms]
    try:
        accumulate_statistics(generator, sampler, batches, batch)
        yield
    finally:
        for norm, buffers in zip(norms, kept, strict=True):
            for name, value in norm.named_buffers():
                value.copy_(buffers[name])


@torch.no_grad()
def accumulate_statistics(generator: Generator, sampler: Sampler, batches: int, batch: int) -> None:
    """Overwrite the running statistics by the average over generated batches, for good."""
    norms = batch_norms(generator)
    for norm in norms:
        norm.reset_running_stats()
    with _set(norms, training=True, momentum=None):  # momentum None: plain average
        for _ in range(batches if norms else 0):
            generator(*sampler(batch))


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
