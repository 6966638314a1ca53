"""The text path of CLIP from token embeddings on: what prompt learning needs and open_clip does not offer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

WORD_END = "</w>"


def text_tower(model: nn.Module) -> Any:
    """Where the text network lives: ``model.text`` in CustomTextCLIP, the model itself in CLIP."""
    return getattr(model, "text", model)


def pooling_of(model: nn.Module) -> str:
    """'argmax', 'eos', 'last', 'first' or 'none'; 'unknown' for towers that do not say (Hugging Face's)."""
    tower = text_tower(model)
    return getattr(tower, "text_pool_type", getattr(tower, "pool_type", "unknown"))


def why_unsupported(model: nn.Module) -> str | None:
    """What about the text tower keeps :func:`encode_embeddings` from being right, or None if it is right.

    Shortening the sequence leaves the feature unchanged only under a causal mask, with the feature taken at
    the end-of-text token.
    """
    tower = text_tower(model)
    if not hasattr(tower, "token_embedding") or not hasattr(tower, "transformer"):
        return f"its text tower is {type(tower).__name__}, not an open_clip text transformer"
    if pooling_of(model) not in ("argmax", "eos"):
        return f"it pools with {pooling_of(model)!r}; supported are 'argmax' and 'eos'"
    if getattr(tower, "cls_emb", None) is not None:
        return "its text tower appends a class token"
    if getattr(tower, "attn_mask", None) is None:
        return "its text tower attends in both directions"
    return None


def end_positions(model: nn.Module, ids: Tensor) -> Tensor:
    """(N,) position of the end-of-text token in ids (N, L)."""
    if pooling_of(model) == "argmax":
        return ids.argmax(dim=-1)
    tower = text_tower(model)
    end = tower.text_eos_id if hasattr(tower, "text_eos_id") else tower.eos_id
    return ids.eq(end).int().argmax(dim=-1)


def encode_embeddings(model: nn.Module, embeddings: Tensor, ids: Tensor) -> Tensor:
    """Text features from token embeddings, as ``CLIP.encode_text`` computes them after its table look-up.

    f = P . ln(T(E + pos[:L], mask[:L, :L]))[end]: only the first L positions are computed, which under the
    causal mask changes nothing and costs in proportion (Radford et al. 2021, section 2.4; prompt form of
    CoOp, Zhou et al. 2022).

    Args:
        model: an open_clip model for which :func:`why_unsupported` is None.
        embeddings: (N, L, width) whole prompts (start, words, end), without positions.
        ids: (N, L) int64 ids of the same layout; only the place of the end-of-text token is read.

    Returns:
        (N, embedding_dim), not normalised.
    """
    tower = text_tower(model)
    length = embeddings.shape[1]
    ends = end_positions(model, ids)  # (N,)
    dtype = tower.transformer.get_cast_dtype()
    x = embeddings.to(dtype) + tower.positional_embedding[:length].to(dtype)  # (N, L, width)
    x = tower.transformer(x, attn_mask=tower.attn_mask[:length, :length])
    x = tower.ln_final(x)[torch.arange(len(x), device=x.device), ends]  # (N, width)
    return _project(tower.text_projection, x)


def _project(projection: Tensor | nn.Linear | None, x: Tensor) -> Tensor:
    if projection is None:
        return x
    return projection(x) if isinstance(projection, nn.Linear) else x @ projection


def nearest_tokens(
    table: Tensor, pieces: Callable[[int], str], allowed: Tensor, vectors: Tensor, top: int
) -> list[list[tuple[str, float]]]:
    """The ``top`` rows of the token table nearest to each vector, as (piece, Euclidean distance).

    Args:
        table: (V, width) token embeddings.
        pieces: id -> text of the piece.
        allowed: (V,) bool, tokens that may be named.
        vectors: (N, width).
        top: how many per vector.
    """
    ids = allowed.nonzero().flatten()
    # differences, not the matrix-product shortcut: an exact match must come out at distance 0
    distances = torch.cdist(vectors.float(), table[ids].float(), compute_mode="donot_use_mm_for_euclid_dist")
    values, columns = distances.topk(min(top, len(ids)), largest=False)  # both (N, top)
    nearest = []
    for row_values, row_ids in zip(values.tolist(), ids[columns].tolist(), strict=True):
        nearest.append([(pieces(i), value) for i, value in zip(row_ids, row_values, strict=True)])
    return nearest


def word_mask(decoder: dict[int, str], readable: Callable[[int], str], size: int) -> Tensor:
    """(size,) bool: pieces that end a word and consist of letters only."""
    words = [decoder.get(i, "").endswith(WORD_END) and readable(i).isalpha() for i in range(size)]
    return torch.tensor(words)
