"""How the coefficients u_z of generated images are drawn; the paper says only: sampled at random."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from toolbox.ranges import check_positive, check_whole


class Coefficients(nn.Module, ABC):
    """A distribution of coefficient vectors for each class.

    A discriminator that sees u must not be able to tell fakes by their u alone: what is drawn should look
    like the coefficients of real images, which :meth:`prepare` shows.
    """

    def prepare(self, coefficients: Tensor, labels: Tensor, sizes: Tensor, rng: torch.Generator) -> None:
        """See coefficients (N, K) of real images with labels (N,).

        Args:
            coefficients: (N, K) u_x.
            labels: (N,), -1 = unknown.
            sizes: (C,) clusters of each class.
            rng: for what is drawn.
        """

    @abstractmethod
    def forward(self, labels: Tensor, sizes: Tensor, width: int, rng: torch.Generator) -> Tensor:
        """(n, width) coefficients for labels (n,): rows sum to 1, zero beyond the clusters of the class."""

    def refresh(self, coefficients: Tensor, labels: Tensor, share: float, rng: torch.Generator) -> None:
        """See newer coefficients (n, K) of some real images."""


class EmpiricalCoefficients(Coefficients):
    """The coefficients of a random real image of the class: matches the real distribution by construction.

    Args:
        bank_size: M, vectors remembered for each class. Unknown in the paper.

    Attributes:
        bank: buffer (C, M, K); part of a checkpoint, since sampling needs it.
    """

    bank: Tensor

    def __init__(self, bank_size: int = 512) -> None:
        super().__init__()
        check_whole(1, bank_size=bank_size)
        self.bank_size = bank_size
        self.register_buffer("bank", torch.zeros(0, bank_size, 0))

    def prepare(self, coefficients: Tensor, labels: Tensor, sizes: Tensor, rng: torch.Generator) -> None:
        bank = coefficients.new_zeros(len(sizes), self.bank_size, coefficients.shape[1])  # (C, M, K)
        for y in range(len(sizes)):
            rows = (labels == y).nonzero().flatten()
            order = torch.randperm(len(rows), generator=rng).to(rows.device)
            times = self.bank_size // len(rows) + 1  # a small class fills its bank by repetition
            bank[y] = coefficients[rows[order.repeat(times)[: self.bank_size]]]  # (M, K)
        self.bank = bank

    def forward(self, labels: Tensor, sizes: Tensor, width: int, rng: torch.Generator) -> Tensor:
        if not len(self.bank):
            raise ValueError(
                "the bank of coefficients is empty: prepare the conditioner on a data set, or load a "
                "checkpoint"
            )
        slots = torch.randint(self.bank_size, labels.shape, generator=rng)
        return self.bank[labels.to(self.bank.device), slots.to(self.bank.device)]  # (n, K)

    def refresh(self, coefficients: Tensor, labels: Tensor, share: float, rng: torch.Generator) -> None:
        """Replace random vectors of the bank, at most ``share`` of it."""
        allowed = max(1, int(share * self.bank_size * len(self.bank)))
        room = min(len(labels), self.bank_size, allowed)
        chosen = torch.randperm(len(labels), generator=rng)[:room].to(labels.device)
        # distinct slots: no two writes meet, whose order would be undefined on a GPU
        slots = torch.randperm(self.bank_size, generator=rng)[:room].to(labels.device)
        known = labels[chosen] >= 0
        self.bank[labels[chosen][known], slots[known]] = coefficients[chosen][known]

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any) -> None:
        """Take the size of the bank from what was saved, unless one is filled here."""
        saved = state_dict.get(f"{prefix}bank")
        if saved is not None and saved.ndim == 3 and not len(self.bank):
            self.bank_size = saved.shape[1]
            self.bank = torch.zeros_like(saved, device=self.bank.device)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


class DirichletCoefficients(Coefficients):
    """Dirichlet(alpha, ..., alpha) over the clusters of the class.

    Args:
        alpha: concentration; below 1 prefers few clusters. 'fit' chooses the value whose expected entropy
            equals the mean entropy of the real images' coefficients. Unknown in the paper.
    """

    alpha: Tensor

    def __init__(self, alpha: float | str = 0.5) -> None:
        super().__init__()
        self.fit = alpha == "fit"
        if not self.fit:
            if isinstance(alpha, str):
                raise ValueError(f"alpha={alpha!r} must be a positive number or 'fit'")
            check_positive(alpha=alpha)
        known = float("nan") if self.fit else float(alpha)
        self.register_buffer("alpha", torch.tensor(known, dtype=torch.float64))

    def prepare(self, coefficients: Tensor, labels: Tensor, sizes: Tensor, rng: torch.Generator) -> None:
        if not self.fit:
            return
        known = labels >= 0
        numbers = sizes.cpu().numpy()[labels[known].cpu().numpy()]  # k of each row's class
        self.alpha.fill_(fit_alpha(coefficients[known].double().cpu().numpy(), numbers))

    def forward(self, labels: Tensor, sizes: Tensor, width: int, rng: torch.Generator) -> Tensor:
        alpha = float(self.alpha)
        if np.isnan(alpha):
            raise ValueError(
                "alpha='fit' has not seen coefficients of real images yet: prepare the conditioner first"
            )
        # gamma draws divided by their sum are Dirichlet; for a small alpha all of them may underflow to 0
        draws = _numpy_rng(rng).standard_gamma(alpha, size=(len(labels), width)) + 1e-300
        return _normalised(torch.from_numpy(draws), labels, sizes, width)


class SoftmaxNormalCoefficients(Coefficients):
    """softmax(n / tau) with n ~ N(0, I).

    Args:
        tau: temperature; small = nearly one cluster. Unknown in the paper.
    """

    def __init__(self, tau: float = 1.0) -> None:
        super().__init__()
        check_positive(tau=tau)
        self.tau = tau

    def forward(self, labels: Tensor, sizes: Tensor, width: int, rng: torch.Generator) -> Tensor:
        logits = torch.randn(len(labels), width, generator=rng) / self.tau
        live = _live(labels, sizes, width)
        return logits.masked_fill(~live, float("-inf")).softmax(dim=1)


class OneHotCoefficients(Coefficients):
    """One random cluster: hard conditions, an ablation."""

    def forward(self, labels: Tensor, sizes: Tensor, width: int, rng: torch.Generator) -> Tensor:
        chosen = (torch.rand(len(labels), generator=rng) * sizes.cpu()[labels.cpu()]).long()
        return torch.nn.functional.one_hot(chosen, width).float()


class UniformCoefficients(Coefficients):
    """1 / k_y each: one condition per class, an ablation."""

    def forward(self, labels: Tensor, sizes: Tensor, width: int, rng: torch.Generator) -> Tensor:
        return _normalised(torch.ones(len(labels), width), labels, sizes, width)


def fit_alpha(coefficients: np.ndarray, numbers: np.ndarray) -> float:
    """The Dirichlet concentration whose expected entropy is the mean entropy of coefficient rows (N, K).

    E[H] = psi(k alpha + 1) - psi(alpha + 1) for k clusters; ``numbers`` (N,) holds each row's k. Rows with
    one cluster say nothing and are left out; the value is kept within 0.01 and 100.
    """
    from scipy.optimize import brentq
    from scipy.special import psi

    several = numbers > 1
    if not several.any():
        return 1.0
    rows = coefficients[several]
    k = numbers[several]
    entropy = float(-(rows * np.log(np.maximum(rows, 1e-300))).sum(axis=1).mean())

    def excess(log_alpha: float) -> float:
        alpha = np.exp(log_alpha)
        return float((psi(k * alpha + 1) - psi(alpha + 1)).mean()) - entropy

    low, high = np.log(0.01), np.log(100.0)
    if excess(low) >= 0:  # the expected entropy grows with alpha
        return 0.01
    if excess(high) <= 0:
        return 100.0
    return float(np.exp(brentq(excess, low, high)))


def _live(labels: Tensor, sizes: Tensor, width: int) -> Tensor:
    """(n, width) bool: places that a class uses; on the CPU, where everything is drawn."""
    return torch.arange(width)[None] < sizes.cpu()[labels.cpu()][:, None]


def _normalised(draws: Tensor, labels: Tensor, sizes: Tensor, width: int) -> Tensor:
    """Draws (n, width) > 0, zeroed where their class has no cluster, divided by their sum."""
    draws = draws * _live(labels, sizes, width)
    return (draws / draws.sum(dim=1, keepdim=True)).float()


def _numpy_rng(rng: torch.Generator) -> np.random.Generator:
    """torch's gamma draws take no public generator; numpy's do."""
    return np.random.default_rng(int(torch.randint(2**62, (1,), generator=rng)))
