"""Prompts before the labels of two domains: one for each latent (IPL), or one for all (CoOp's)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from toolbox.interfaces import PromptLearner
from toolbox.models.style_ops import EqualLinear, normalise_second_moment
from toolbox.ranges import check_not_negative, check_positive, check_whole

FORMAT = "ipl-prompts/1"


class DomainPrompts(PromptLearner):
    """[start] [V]_1 ... [V]_m [label] [end]: m context vectors in place of the words of a prefix.

    A subclass makes the vectors, :meth:`context`.

    Args:
        clip: the text encoder; not kept, its word embeddings are copied.
        names: the labels: the source domain's first, then the target's.
        prefix: words whose places the vectors take, such as 'a photo of a': m is their number.

    Attributes:
        slots: m.
        token_width: k, of CLIP's token embeddings.

    Raises:
        ValueError: for labels that are missing, empty or equal, a word of the prefix that is not one token,
            and a text beyond CLIP's context.
    """

    ids: Tensor
    words: Tensor

    def __init__(self, clip: Any, names: Sequence[str], prefix: str = "a photo of a") -> None:
        super().__init__()
        self.names = checked_names(names)
        self.prefix = " ".join(prefix.split())
        self.slots = len(self.prefix.split())
        self.token_width = int(clip.token_width)
        self._checked: int | None = None  # the CLIP whose words were found to be these
        _check_prefix(clip, self.prefix)
        ids = _tokens(clip, [f"{self.prefix} {name}" for name in self.names])
        device = next(clip.parameters()).device
        with torch.no_grad():
            words = clip.embed_tokens(ids.to(device)).float().clone()
        self.register_buffer("ids", ids.to(device), persistent=False)  # (labels, L)
        self.register_buffer("words", words, persistent=False)  # (labels, L, k), the prefix's words included

    @abstractmethod
    def context(self, which: Tensor) -> Tensor:
        """Context vectors (N, m, k) of latents (N, latent_dim)."""

    def forward(self, which: Tensor, name: str | None = None) -> Tensor:
        """Token embeddings (N, L, k) of the prompts of latents (N, latent_dim) with one of the labels."""
        row = self._row(name)
        return self._written(self.context(which), row)

    def encode(self, clip: Any, which: Tensor | None = None, name: str | None = None) -> Tensor:
        """E_T(M^i), (N, d_clip), not of unit length, of latents (N, latent_dim) with one of the labels.

        Raises:
            ValueError: without latents, and for another CLIP than the one whose words these prompts have.
        """
        self.check_clip(clip)
        row = self._row(name)
        contexts = self.context(_given(which))
        ids = clip.truncate(self.ids[row, None])  # (1, L of this label)
        embeddings = self._written(contexts, row)[:, : ids.shape[1]]
        return clip.encode_embeddings(embeddings, ids.expand(len(embeddings), -1))

    def nearest_words(
        self, clip: Any, top: int = 1, which: Tensor | None = None
    ) -> list[list[list[tuple[str, float]]]]:
        """For each latent's prompt, and each slot, the ``top`` nearest whole words and their distance."""
        contexts = self.context(_given(which)).detach()  # (N, m, k)
        found = clip.nearest_tokens(contexts.flatten(0, 1), top)
        return [found[row * self.slots : (row + 1) * self.slots] for row in range(len(contexts))]

    def check_clip(self, clip: Any) -> None:
        """Raise ValueError unless the words of these prompts are this CLIP's; asked once of each CLIP."""
        if id(clip) == self._checked:
            return
        same_width = clip.token_width == self.token_width
        if not same_width or not torch.equal(clip.embed_tokens(self.ids).to(self.words), self.words):
            raise ValueError(
                f"{type(self).__name__} was built with another CLIP than the one it is to be encoded by "
                f"(token width {self.token_width} and {clip.token_width}): each CLIP needs prompts of its "
                "own, such as networks=dict(mapper=dict(..., uses=dict(clip='clip')))"
            )
        self._checked = id(clip)

    def _row(self, name: str | None) -> int:
        return self.names.index(str(self.named(name)))

    def _written(self, contexts: Tensor, row: int) -> Tensor:
        """Vectors (N, m, k) in the places of the prefix's words: behind the start, before the label."""
        words = self.words[row].expand(len(contexts), -1, -1)  # (N, L, k)
        return torch.cat([words[:, :1], contexts.to(words.dtype), words[:, 1 + self.slots :]], dim=1)

    def export(self) -> dict[str, Any]:
        """dict(format, kind, names, prefix, state): what :meth:`restore` reads."""
        state = {key: value.detach().cpu().clone() for key, value in self.state_dict().items()}
        return {"format": FORMAT, **self._kind(), "names": list(self.names), "state": state}

    def restore(self, record: Mapping[str, Any]) -> None:
        """Take over what :meth:`export` wrote, of the same kind and prefix; labels may be others.

        Raises:
            ValueError: for another format, kind or prefix, or tensors of other shapes.
        """
        for key, own in {"format": FORMAT, **self._kind()}.items():
            if record.get(key) != own:
                raise ValueError(f"the prompts to import have {key}={record.get(key)!r}, here it is {own!r}")
        try:
            self.load_state_dict(record["state"])
        except RuntimeError as error:
            raise ValueError(f"the prompts to import do not fit: {error}") from error

    def _kind(self) -> dict[str, str]:
        return {"kind": type(self).__name__, "prefix": self.prefix}


class LatentPrompts(DomainPrompts):
    """F: w -> [V]_1 ... [V]_m: a small network from an image's latent to its own prompt (IPL).

    It is StyleGAN2's mapping network with a wider last layer: PixelNorm, then ``layers`` dense layers with
    leaky ReLU, the last too. It reads w, not w+; where there is no W, z (``Generator.style_latent``).

    Args:
        clip: see :class:`DomainPrompts`.
        names: labels of the source and the target domain.
        latent_dim: numbers in w: 512 of published StyleGANs.
        prefix: see :class:`DomainPrompts`; its words themselves are not used.
        hidden: width of the hidden layers; None = ``latent_dim``.
        layers: dense layers, the last included.
        lr_multiplier: each layer learns so much slower. The weights are N(0, 1) / lr_multiplier.
        activate_last: leaky ReLU after the last layer too, which skews prompts to positive values (the
            authors' code).
        output_scale: factor of the vectors. At 1 they start at a length far above that of CLIP's words.
    """

    def __init__(
        self,
        clip: Any,
        names: Sequence[str],
        latent_dim: int = 512,
        prefix: str = "a photo of a",
        hidden: int | None = None,
        layers: int = 4,
        lr_multiplier: float = 0.01,
        activate_last: bool = True,
        output_scale: float = 1.0,
    ) -> None:
        super().__init__(clip, names, prefix)
        check_whole(1, latent_dim=latent_dim, layers=layers, **({} if hidden is None else {"hidden": hidden}))
        check_positive(lr_multiplier=lr_multiplier, output_scale=output_scale)
        self.latent_dim = latent_dim
        self.output_scale = output_scale
        width = hidden or latent_dim
        widths = [latent_dim, *[width] * (layers - 1), self.slots * self.token_width]
        acts = ["lrelu"] * (layers - 1) + ["lrelu" if activate_last else "linear"]
        self.layers = nn.ModuleList(
            EqualLinear(widths[i], widths[i + 1], activation=acts[i], lr_multiplier=lr_multiplier)
            for i in range(layers)
        )

    def context(self, which: Tensor) -> Tensor:
        """[V] (N, m, k) of w (N, latent_dim).

        Raises:
            ValueError: for latents of another width, such as those of a generator with another W.
        """
        if which.ndim != 2 or which.shape[1] != self.latent_dim:
            raise ValueError(
                f"LatentPrompts maps latents of {self.latent_dim} numbers, got {tuple(which.shape)}: "
                f"set latent_dim={which.shape[-1]}, and train it with the generator whose latents these are"
            )
        x = normalise_second_moment(which)
        for layer in self.layers:
            x = layer(x)
        return self.output_scale * x.view(len(x), self.slots, self.token_width)

    def from_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The authors' ``mapper.pt``: ``m.mapping.mapping.{1..4}.weight``, or the same without prefixes.

        Raises:
            ValueError: for a mapper of a CLIP of another width, or of another number of vectors.
        """
        found: dict[str, Tensor] = {}
        for key, value in state.items():
            parts = key.split(".")
            if "mapping" in parts and parts[-2].isdecimal() and parts[-1] in ("weight", "bias"):
                found[f"layers.{int(parts[-2]) - 1}.{parts[-1]}"] = value
        found = found or dict(state)
        made = found.get(f"layers.{len(self.layers) - 1}.bias")
        if made is not None and len(made) != self.slots * self.token_width:
            raise ValueError(
                f"its last layer gives {len(made)} numbers, here are {self.slots} vectors of "
                f"{self.token_width}, the width of CLIP's tokens: it belongs to a CLIP of another width, "
                "or to a prefix of another length"
            )
        return found


class SharedPrompts(DomainPrompts):
    """One context for all images, learnt (CoOp; Zhou et al. 2022): the ablation 'shared' of IPL.

    Args:
        clip, names, prefix: see :class:`DomainPrompts`.
        init_std: the context starts as N(0, init_std^2); 0.02 is CoOp's.
    """

    def __init__(
        self, clip: Any, names: Sequence[str], prefix: str = "a photo of a", init_std: float = 0.02
    ) -> None:
        super().__init__(clip, names, prefix)
        check_not_negative(init_std=init_std)
        self.vectors = nn.Parameter(init_std * torch.randn(self.slots, self.token_width))

    def context(self, which: Tensor) -> Tensor:
        """(N, m, k): the same for all N latents."""
        return self.vectors.expand(len(which), -1, -1)


def _given(which: Tensor | None) -> Tensor:
    if which is None:
        raise ValueError("these prompts are made from latents: pass which=, (N, latent_dim)")
    return which


def checked_names(names: Sequence[str]) -> tuple[str, ...]:
    """Labels with single blanks.

    Raises:
        ValueError: unless they are at least two, and all different.
    """
    if isinstance(names, str) or len(names) < 2:
        raise ValueError(f"names={names!r} must be the labels of both domains, such as ['photo', 'disney']")
    tidy = tuple(" ".join(str(name).split()) for name in names)
    if not all(tidy):
        raise ValueError(f"names={list(names)!r}: a label is empty")
    if len(set(tidy)) < len(tidy):
        raise ValueError(f"names={list(names)!r}: labels of two domains are equal, so there is no direction")
    return tidy


def _check_prefix(clip: Any, prefix: str) -> None:
    """Raise ValueError unless each word of a prefix is one token, so that vectors can take their places."""
    words = prefix.split()
    if not words:
        raise ValueError("prefix='' has no words: 'X X X X' holds the places of four vectors")
    lengths = clip.tokenize(words).argmax(dim=1) - 1  # tokens between start and end, whose id is the largest
    for word, length in zip(words, lengths.tolist(), strict=True):
        if length != 1:
            raise ValueError(
                f"prefix={prefix!r}: the word {word!r} is {length} tokens of CLIP, and a context vector "
                "takes the place of one; choose another word, such as 'X'"
            )


def _tokens(clip: Any, texts: Sequence[str]) -> Tensor:
    """Token ids (N, L), cut after the longest.

    Raises:
        ValueError: for a text that does not fit into CLIP's context.
    """
    ids = clip.tokenize(list(texts))
    ends = ids.argmax(dim=1)
    if int(ends.max()) + 1 >= clip.context_length:  # one that just fits cannot be told from one that was cut
        worst = texts[int(ends.argmax())]
        raise ValueError(f"{worst!r} does not fit into CLIP's context of {clip.context_length} tokens")
    return ids[:, : int(ends.max()) + 1]
