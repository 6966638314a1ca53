"""The contract of a prompt learner: token embeddings that a text encoder reads in place of words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn


class PromptLearner(nn.Module, ABC):
    """Prompts as parameters, or as a function of latents.

    Attributes:
        n_prompts: number of prompts that an index can choose from; 0 when prompts are made from latents.
    """

    n_prompts: int = 0

    @abstractmethod
    def forward(self, which: Tensor) -> Tensor:
        """Token embeddings (N, L, d_token) of whole prompts (start, context, name, end).

        ``which`` is an int64 index (N,) of prompts; for a learner that maps latents, (N, latent_dim) of them.
        """

    @abstractmethod
    def encode(self, clip: Any, which: Tensor | None = None) -> Tensor:
        """Text features (N, d_clip) of prompts ``which`` (default: all), differentiable in the prompts."""

    def nearest_words(self, clip: Any, top: int = 1) -> list[list[list[tuple[str, float]]]]:
        """For each prompt and context slot the ``top`` nearest words and their Euclidean distances."""
        raise NotImplementedError(f"{type(self).__name__} does not name its nearest words")

    def export(self) -> dict[str, Any]:
        """A plain record (lists, strings, tensors) that :meth:`restore` reads."""
        raise NotImplementedError(f"{type(self).__name__} does not export its prompts")

    def restore(self, record: dict[str, Any]) -> None:
        """Take over an exported record; an error names what does not fit."""
        raise NotImplementedError(f"{type(self).__name__} does not import prompts")
