"""Regularisers of discriminators and weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from toolbox.interfaces import uniform_rows


def r1_penalty(images: Tensor, logits: Tensor, gamma: float = 1.0) -> Tensor:
    """gamma/2 E |grad_x D(x)|^2 on real images (Mescheder et al. 2018, eq. 9).

    ``images`` (N, ...) must have required gradients before ``logits`` (N,) were computed from them.

    Raises:
        ValueError: when they did not.
    """
    if not images.requires_grad:
        raise ValueError(
            "images do not require gradients: call images.requires_grad_() before the discriminator"
        )
    return gamma / 2 * _input_gradient(images, logits).pow(2).sum(dim=1).mean()


def gradient_penalty(
    discriminate: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    weight: float = 10.0,
    rng: torch.Generator | None = None,
) -> Tensor:
    """weight E (|grad D(e x + (1 - e) G(z))| - 1)^2, e ~ U(0, 1) per image (WGAN-GP, eq. 3).

    Args:
        discriminate: images (N, ...) -> logits (N,).
        real, fake: images of one shape; fakes are taken as constants.
        rng: CPU generator of e.

    Raises:
        ValueError: for different shapes.
    """
    if real.shape != fake.shape:
        raise ValueError(f"real and fake images differ in shape: {tuple(real.shape)} and {tuple(fake.shape)}")
    epsilon = uniform_rows(len(real), rng=rng, device=real.device).to(real)  # (N,)
    epsilon = epsilon.view(-1, *[1] * (real.ndim - 1))
    between = torch.lerp(fake.detach(), real.detach(), epsilon).requires_grad_()
    norms = _input_gradient(between, discriminate(between)).norm(dim=1)
    return weight * (norms - 1).pow(2).mean()


def matching_aware_penalty(
    logits: Tensor, inputs: Sequence[Tensor], strength: float = 2.0, power: float = 6.0
) -> Tensor:
    """strength E |(grad_x D(x, s), grad_s D(x, s))|^power of real, matching pairs (DF-GAN, eq. 2).

    Args:
        logits: (N,), computed from ``inputs``.
        inputs: tensors (N, ...), each of which required gradients by then: images x, or what frozen networks
            made of them, and sentence codes s. The norm is that of all gradients of a row together; zero for
            what the logits do not depend on.
        strength, power: k and p of the paper.

    Raises:
        ValueError: for an input that required none.
    """
    if not all(tensor.requires_grad for tensor in inputs):
        raise ValueError("inputs do not require gradients: call requires_grad_() before the discriminator")
    gradients = torch.autograd.grad(
        logits.sum(), list(inputs), create_graph=True, allow_unused=True, materialize_grads=True
    )
    squares = torch.stack([gradient.flatten(1).square().sum(dim=1) for gradient in gradients])  # (inputs, N)
    return strength * squares.sum(dim=0).pow(power / 2).mean()


def path_lengths(images: Tensor, ws: Tensor, noise: Tensor) -> Tensor:
    """|J_w^T y| of each image, y ~ N(0, I) / sqrt(pixels) (StyleGAN2, eq. 4).

    Args:
        images: (N, C, H, W), computed from ``ws``.
        ws: (N, number of styles, d); the squared length is a mean over the styles.
        noise: (N, C, H, W) of N(0, 1).

    Returns:
        (N,), differentiable.
    """
    y = noise / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad((images * y).sum(), ws, create_graph=True)  # J^T y, of ws' shape
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()


def orthogonal_regularisation(network: nn.Module, weight: float = 1e-4) -> Tensor:
    """weight sum over layers |W W^T (1 - I)|^2: rows orthogonal, their norms free (BigGAN, eq. 3).

    Embeddings are left out. W is the parameter: with spectral normalisation the weight before the division.
    Zero for a network without convolutions and linear layers.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    terms = [_off_diagonal(_parameter(layer)) for layer in layers]
    return weight * torch.stack(terms).sum() if terms else torch.zeros(())


def _input_gradient(images: Tensor, logits: Tensor) -> Tensor:
    """(N, numbers of an image): gradient of each image's logit, itself differentiable."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.flatten(1)


def _parameter(layer: nn.Conv2d | nn.Linear) -> Tensor:
    raw = getattr(layer, "weight_orig", None)
    return raw if isinstance(raw, Tensor) else layer.weight


def _off_diagonal(weight: Tensor) -> Tensor:
    rows = weight.flatten(1)
    gram = rows @ rows.t()
    return (gram - gram.diagonal().diag()).pow(2).sum()
