"""Reading a Condition: labels, or soft rows over the conditions of a network."""

from __future__ import annotations

import torch
from torch import Tensor

from toolbox.interfaces import Condition, TextCodes


def check_weights(weights: Tensor, n_conditions: int, network: str) -> None:
    """Raise unless ``weights`` is (N, n_conditions)."""
    if weights.ndim != 2 or weights.shape[1] != n_conditions:
        raise ValueError(
            f"{network}: condition.weights has shape {tuple(weights.shape)}, expected "
            f"(N, {n_conditions}); n_conditions must be the number of rows that the conditioner makes"
        )


def check_labels(labels: Tensor, n_conditions: int, network: str, hidden: bool) -> None:
    """Raise for labels outside 0..n_conditions-1 (-1 is allowed where ``hidden``).

    Checked on a CPU alone: a GPU would have to be waited for.
    """
    lowest = -1 if hidden else 0
    if torch.compiler.is_compiling() or labels.device.type != "cpu" or not labels.numel():
        return
    low, high = int(labels.min()), int(labels.max())
    if low < lowest or high >= n_conditions:
        hint = "" if hidden else " and that hidden labels (-1) were replaced"
        raise ValueError(
            f"{network}: condition.labels run from {low} to {high}, allowed is "
            f"{lowest}..{n_conditions - 1}; check n_conditions{hint}"
        )


def soft_one_hot(
    condition: Condition | None,
    n_conditions: int,
    network: str,
    labels_first: bool = False,
    hidden: bool = False,
    default: Tensor | None = None,
) -> Tensor:
    """Rows (N, n_conditions): ``weights`` as they are, or the labels one-hot.

    Args:
        condition: what was asked for.
        n_conditions: rows of the network's table.
        network: its name, for messages.
        labels_first: which counts when there are both.
        hidden: a label of -1 is allowed; it gives a row of zeros.
        default: for a condition that has neither; None = that is an error.

    Raises:
        ValueError: when the condition does not fit.
    """
    labels = None if condition is None else condition.labels
    weights = None if condition is None else condition.weights
    if weights is not None and not (labels_first and labels is not None):
        check_weights(weights, n_conditions, network)
        return weights
    if labels is not None:
        check_labels(labels, n_conditions, network, hidden)
        return (labels.unsqueeze(1) == torch.arange(n_conditions, device=labels.device)).float()
    if default is None:
        raise ValueError(
            f"{network} has {n_conditions} conditions and got none: give condition.labels (N,) or "
            f"condition.weights (N, {n_conditions})"
        )
    return default


def sentence_of(
    condition: Condition | None, width: int, network: str, argument: str = "condition_dim"
) -> Tensor:
    """The sentence codes (N, width) of a condition; ``argument`` is the network's that gives the width.

    Raises:
        ValueError: where there are none, or of another width.
    """
    codes = None if condition is None else condition.codes
    if codes is None:
        raise ValueError(
            f"{network} reads captions and got none: condition.codes must hold sentence codes (N, {width})"
        )
    if codes.sentence.ndim != 2 or codes.sentence.shape[1] != width:
        raise ValueError(
            f"{network}: condition.codes.sentence has shape {tuple(codes.sentence.shape)}, expected "
            f"(N, {width}); {argument}={width} must be the width of the text encoder"
        )
    return codes.sentence


def words_of(condition: Condition | None, width: int, network: str, argument: str) -> TextCodes:
    """The text codes of a condition, those of words (N, width, L) among them.

    Raises:
        ValueError: where there are none of sentences or of words, or of another width.
    """
    sentence_of(condition, width, network, argument)
    assert condition is not None and condition.codes is not None
    codes = condition.codes
    if codes.words is None or codes.lengths is None:
        raise ValueError(f"{network} needs codes of words; the text encoder gives those of sentences only")
    if codes.words.ndim != 3 or codes.words.shape[1] != width:
        raise ValueError(
            f"{network}: condition.codes.words has shape {tuple(codes.words.shape)}, expected "
            f"(N, {width}, L); {argument}={width} must be the width of the text encoder"
        )
    return codes


def has_text(condition: Condition | None) -> bool:
    """Whether a condition asks for a text: a discriminator with two heads judges without it where not."""
    return condition is not None and (condition.codes is not None or condition.text is not None)
