"""What is contrasted: codes of both branches' images and captions, and their labels; gathered over ranks."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from toolbox import ranks
from toolbox.catalog import near_miss
from toolbox.interfaces import Condition, Sample, Turn


class Views(NamedTuple):
    """Of N items, or of those of all ranks.

    Attributes:
        codes: {'i1': (N, D), 't1': ..., 'i2': ..., 't2': ...}: images and texts of branch 1 and 2.
        labels: (2 N,) int64, first branch first; None where they are not asked for.
        sets: (2 N, C) bool, the same.
    """

    codes: dict[str, Tensor]
    labels: Tensor | None
    sets: Tensor | None


def two_branches(turn: Turn) -> tuple[Turn, Turn]:
    """The turns of both branches.

    Raises:
        ValueError: for a game with another number of them.
    """
    branches = list(turn.branches)
    if len(branches) != 2:
        raise ValueError(
            f"LabelContrast compares two branches of a batch, the game has {len(branches)}: give "
            "model.branches two fields whose items share labels, such as ['images', 'partner']"
        )
    return branches[0], branches[1]


def image_codes(branch: Turn, sample: Sample, encoder: str) -> Tensor:
    """(N, D) of a sample's images; encoded once a turn, together with the terms of the core's DAMSM.

    A discriminator that looks through CLIP (GALIP's) gives the embedding that it has made anyway.

    Raises:
        ValueError: for a network that encodes no images.
    """
    network = branch.network(encoder)
    if hasattr(network, "look"):
        embedding: Tensor | None = getattr(branch.seen(encoder, sample), "embedding", None)
        if embedding is not None:
            return embedding
    if not hasattr(network, "encode_images"):
        raise ValueError(
            f"LabelContrast: encoder={encoder!r} is a {type(network).__name__}, which has no encode_images"
        )
    key = ("image codes", encoder, id(sample.images))
    found = branch.once(key, lambda: network.encode_images(sample.images))
    return found[0] if isinstance(found, tuple) else found


def sentence_codes(branch: Turn, sample: Sample, text_encoder: str | None) -> Tensor:
    """(N, D): of the text encoder with gradients, or the condition's as constants.

    Raises:
        ValueError: where there are none.
    """
    if text_encoder is None:
        codes = sample.condition.codes
        if codes is None:
            raise ValueError(
                "LabelContrast: condition.codes is None: give the game a conditioner that encodes captions, "
                "or name a text_encoder"
            )
        return codes.sentence.detach()
    network, ids = branch.network(text_encoder), sample.condition.text
    if not isinstance(ids, Tensor):
        raise ValueError("LabelContrast: text_encoder needs token ids (N, L) as condition.text")
    found = branch.once(("text codes", text_encoder, id(ids)), lambda: _encoded(network, ids))
    return getattr(found, "sentence", found)


def labels_of(condition: Condition) -> Tensor:
    """(N,) int64.

    Raises:
        ValueError: where there are none.
    """
    if condition.labels is None:
        raise ValueError(
            "LabelContrast: condition.labels is None: give the game data with labels (label_loss='nt_xent' "
            "does without)"
        )
    return condition.labels


def sets_of(branch: Turn, sample: Sample, field: str) -> Tensor:
    """(N, C) bool; of generated images those of the real ones whose captions they have.

    Raises:
        ValueError: where there are none, or the captions are others.
    """
    fields, of_real = {**sample.extras, **sample.condition.extra}, branch.real.extras
    if field not in fields and field in of_real:
        if branch.iteration == 0 and not _same_captions(sample, branch.real):
            raise ValueError(
                f"LabelContrast: {field!r} is of the real images, and the generated ones have other "
                "captions: give the game a conditioner that asks for the captions of the batch"
            )
        fields = of_real
    if field not in fields:
        known = sorted({**fields, **of_real})
        raise ValueError(
            f"LabelContrast: sets of labels are needed, and no field is called {field!r}"
            f"{near_miss(field, known)}; there are {known}"
        )
    return fields[field] > 0


def over_ranks(views: Views) -> Views:
    """Those of all ranks, rank by rank within each branch; gradients flow back to where they came from."""
    if not ranks.running():
        return views
    codes = {name: ranks.gather_rows_with_gradient(code) for name, code in views.codes.items()}
    return Views(codes, _gathered_halves(views.labels), _gathered_halves(views.sets))


def check_views(views: Views, weights: Tensor) -> None:
    """Something must be told apart, and partners must be partners.

    Args:
        views: of all ranks.
        weights: (2 N, 2 N) positives.

    Raises:
        ValueError: for one item, no labels, one label, or partners of two labels.
    """
    n = len(views.codes["i1"])
    if n < 2:
        raise ValueError("LabelContrast: a batch of one item has no negatives: take a larger one")
    if views.labels is not None:
        _check_labels(*views.labels.chunk(2))
    if bool((weights > 0).all()):
        raise ValueError(
            f"LabelContrast: the {n} items of the batch share one label, so that there are no negatives: "
            "take a larger batch, or data of several labels"
        )


def _check_labels(first: Tensor, second: Tensor) -> None:
    if not bool((first >= 0).any() | (second >= 0).any()):
        raise ValueError(
            "LabelContrast: no item of the batch has a label (all are hidden): label_loss='nt_xent' does "
            "without"
        )
    differ = ((first != second) & (first >= 0) & (second >= 0)).nonzero().flatten()
    if len(differ):
        i = int(differ[0])
        raise ValueError(
            f"LabelContrast: item {i} has label {int(first[i])} in the first branch and {int(second[i])} in "
            "the second: branches must pair items of one label"
        )


def _gathered_halves(value: Tensor | None) -> Tensor | None:
    """Rows (2 n, ...) of two branches, of all ranks: the first branch's of all, then the second's."""
    if value is None:
        return None
    there = value.byte() if value.dtype == torch.bool else value  # not every backend gathers truth values
    return torch.cat([ranks.gather_rows(half.contiguous()) for half in there.chunk(2)]).to(value.dtype)


def _same_captions(one: Sample, other: Sample) -> bool:
    first, second = one.condition.text, other.condition.text
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return torch.equal(first, second)
    return first is not None and first == second


def _encoded(network: Any, ids: Tensor) -> Any:
    """TextCodes, or sentence codes (N, D)."""
    return network.encode_text(ids, None) if hasattr(network, "encode_text") else network.encode_tokens(ids)
