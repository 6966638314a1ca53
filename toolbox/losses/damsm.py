"""Matching of images and texts, word by region and whole by whole (DAMSM; AttnGAN, Xu et al. 2018, sec. 3.2).

Scores are matrices (images, texts). A score depends on its own image and text only, so that several processes
may each compute the rows of their images. The losses couple the whole batch.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.interfaces import TextCodes


class MatchingLosses(NamedTuple):
    """Cross-entropies of the texts of images (``0``) and of the images of texts (``1``)."""

    words0: Tensor
    words1: Tensor
    sentence0: Tensor
    sentence1: Tensor


def damsm_losses(
    codes: Tensor,
    regions: Tensor,
    texts: TextCodes,
    labels: Tensor | None = None,
    gammas: tuple[float, float, float] = (4.0, 5.0, 10.0),
    paper_power: bool = False,
) -> MatchingLosses:
    """The four losses of N image-text pairs; DAMSM minimises their sum (eq. 13).

    Args:
        codes: (N, D) of images.
        regions: (N, D, h, w) of images.
        texts: N codes; text i belongs to image i.
        labels: (N,) classes: another pair of the same class is no negative. None, or -1 = a class of its own.
        gammas: sharpness of the attention, of the sum over words, and of the matching.
        paper_power: see :func:`word_scores`.

    Raises:
        ValueError: for texts without words, or shapes that do not agree.
    """
    sharpness, sum_of_words, matching = gammas
    words = matching * word_scores(regions, texts, sharpness, sum_of_words, paper_power)
    whole = matching * sentence_scores(codes, texts.sentence)
    return MatchingLosses(*matching_losses(words, labels), *matching_losses(whole, labels))


def word_attention(regions: Tensor, texts: TextCodes, gamma: float) -> Tensor:
    """How much each word of each text looks at each region of each image (eq. 7 to 9).

    Returns:
        (images, texts, L, h * w); sums to 1 over the regions.
    """
    return _attention(*_products(regions, texts), gamma)


def word_scores(
    regions: Tensor, texts: TextCodes, gamma1: float = 4.0, gamma2: float = 5.0, paper_power: bool = False
) -> Tensor:
    """R(image, text) = log sum over words of exp(gamma2 cos(word, what it looks at)) (eq. 10).

    Args:
        regions: (I, D, h, w).
        texts: T codes with words of width D.
        gamma1, gamma2: sharpness of the attention, and of the sum.
        paper_power: divide by gamma2, as the paper has it; the published code, and all published weights, do
            not.

    Returns:
        (I, T).

    Raises:
        ValueError: for texts without words, or of another width.
    """
    products, mask = _products(regions, texts)  # (I, T, L, R), (T, L)
    attention = _attention(products, mask, gamma1)
    seen = attention.flatten(1, 2) @ regions.flatten(2).transpose(1, 2)  # (I, T * L, D)
    flat = _flat_words(texts)  # (T * L, D)
    norms = seen.norm(dim=2) * flat.norm(dim=1)  # cosine_similarity would divide all of seen
    cosines = (seen * flat).sum(dim=2) / norms.clamp(min=1e-8)
    scores = (gamma2 * cosines.unflatten(1, mask.shape)).masked_fill(~mask, -torch.inf).logsumexp(dim=2)
    return scores / gamma2 if paper_power else scores


def sentence_scores(codes: Tensor, sentences: Tensor) -> Tensor:
    """(I, T) cosines of codes of images (I, D) and of texts (T, D).

    Raises:
        ValueError: for codes of different widths.
    """
    if codes.ndim != 2 or sentences.ndim != 2 or codes.shape[1] != sentences.shape[1]:
        raise ValueError(
            f"codes of images {tuple(codes.shape)} and of sentences {tuple(sentences.shape)} must be (N, D)"
        )
    return F.normalize(codes, dim=1, eps=1e-8) @ F.normalize(sentences, dim=1, eps=1e-8).t()


def matching_losses(scores: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the matching texts of images, and of the matching images of texts (eq. 11 and 12).

    Args:
        scores: (N, N), the matching pairs on the diagonal.
        labels: (N,): other pairs of equal label are left out; -1 equals nothing.

    Raises:
        ValueError: for another shape, or another number of labels.
    """
    n = len(scores)
    if tuple(scores.shape) != (n, n):
        raise ValueError(f"scores must be (N, N), got {tuple(scores.shape)}")
    if labels is not None:
        if tuple(labels.shape) != (n,):
            raise ValueError(f"labels have shape {tuple(labels.shape)}, expected ({n},): one for each pair")
        same = (labels[:, None] == labels[None]) & (labels[:, None] >= 0)
        scores = scores.masked_fill(same.fill_diagonal_(False), -torch.inf)
    own = torch.arange(n, device=scores.device)
    return F.cross_entropy(scores, own), F.cross_entropy(scores.t(), own)


def _flat_words(texts: TextCodes) -> Tensor:
    assert texts.words is not None
    return texts.words.transpose(1, 2).flatten(0, 1)


def _products(regions: Tensor, texts: TextCodes) -> tuple[Tensor, Tensor]:
    """Inner products (I, T, L, R) of words and regions, and which words there are (T, L)."""
    mask = texts.mask
    assert texts.words is not None
    if regions.ndim != 4 or regions.shape[1] != texts.words.shape[1]:
        raise ValueError(
            f"regions {tuple(regions.shape)} must be (N, D, h, w) with D as in words "
            f"{tuple(texts.words.shape)}"
        )
    return (_flat_words(texts) @ regions.flatten(2)).unflatten(1, mask.shape), mask


def _attention(products: Tensor, mask: Tensor, gamma: float) -> Tensor:
    """(I, T, L, R): a softmax over the words of a text, then a sharper one over regions."""
    shares = products.masked_fill(~mask[None, :, :, None], -torch.inf).softmax(dim=2)
    return (gamma * shares).softmax(dim=3)
