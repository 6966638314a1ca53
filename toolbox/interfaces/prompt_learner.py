"""The contract of a prompt learner: token embeddings that a text encoder reads in place of words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn


class PromptLearner(nn.Module, ABC):
    """Prompts as parameters, or as a function of latents.

    Attributes:
        n_prompts: number of prompts that an index can choose from; 0 when prompts are made from latents.
        names: what one context may be written before, such as the labels of a source and a target domain;
            empty for a learner whose prompts have a name each.
    """

    n_prompts: int = 0
    names: tuple[str, ...] = ()

    @abstractmethod
    def forward(self, which: Tensor, name: str | None = None) -> Tensor:
        """Token embeddings (N, L, d_token) of whole prompts (start, context, name, end).

        Args:
            which: int64 index (N,) of prompts; for a learner that maps latents, (N, latent_dim) of them.
            name: one of ``names``; None = the first.
        """

    @abstractmethod
    def encode(self, clip: Any, which: Tensor | None = None, name: str | None = None) -> Tensor:
        """Text features (N, d_clip) of prompts ``which`` (default: all), differentiable in the prompts."""

    def nearest_words(
        self, clip: Any, top: int = 1, which: Tensor | None = None
    ) -> list[list[list[tuple[str, float]]]]:
        """For each prompt and context slot the ``top`` nearest words and their Euclidean distances.

        ``which`` as in :meth:`forward`; None = all prompts, which a learner that maps latents refuses.
        """
        raise NotImplementedError(f"{type(self).__name__} does not name its nearest words")

    def named(self, name: str | None) -> str | None:
        """The name itself, or the first of ``names``.

        Raises:
            ValueError: for a name that is not among them.
        """
        if name is None:
            return self.names[0] if self.names else None
        if name not in self.names:
            allowed = f"one of {', '.join(self.names)}" if self.names else "None: each prompt has its own"
            raise ValueError(f"name={name!r} must be {allowed}")
        return name

    def export(self) -> dict[str, Any]:
        """A plain record (lists, strings, tensors) that :meth:`restore` reads."""
        raise NotImplementedError(f"{type(self).__name__} does not export its prompts")

    def restore(self, record: dict[str, Any]) -> None:
        """Take over an exported record; an error names what does not fit."""
        raise NotImplementedError(f"{type(self).__name__} does not import prompts")
