"""A classifier at every pixel of an image, from the maps of :mod:`toolbox.features`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.features import stack_maps

_ROWS = 65_536  # that a clusterer without planes is asked about at a time


def segment(classifier: Any, maps: Sequence[Tensor], size: int) -> Tensor:
    """(N, size, size) int64: the cluster of each pixel, that of the highest score.

    Arguments as of :func:`score_maps`; a classifier without planes needs ``predict`` alone.
    """
    if has_planes(classifier):
        return score_maps(classifier, maps, size).argmax(dim=1)
    return _asked(classifier.predict, maps, size).long()


@torch.no_grad()
def score_maps(classifier: Any, maps: Sequence[Tensor], size: int) -> Tensor:
    """(N, K, size, size) float32 scores of maps (N, C_l, h_l, w_l).

    They are those of ``classifier.scores`` on the resized, joined maps. Those of planes are computed layer by
    layer: they are linear in the features, and resizing in the pixels, so that a layer with more channels
    than classes may be scored first and resized then, in less memory.

    Args:
        classifier: of K clusters, with ``scores``; or with ``weight`` (K, D) and ``bias`` (K), D the channels
            of all maps; ``groups`` (K), where a class is the best of several planes.
        maps: coarse to fine, as the classifier's features were joined.
        size: pixels of a side.

    Raises:
        ValueError: when the channels do not add up to D.
    """
    if not has_planes(classifier):
        return _asked(classifier.scores, maps, size).movedim(-1, 1).float()
    device = maps[0].device
    weight = torch.as_tensor(classifier.weight, dtype=torch.float32, device=device)  # (K, D)
    bias = torch.as_tensor(classifier.bias, dtype=torch.float32, device=device)
    channels = [layer.shape[1] for layer in maps]
    if sum(channels) != weight.shape[1]:
        raise ValueError(
            f"maps have {' + '.join(map(str, channels))} = {sum(channels)} channels, the classifier was "
            f"fitted on {weight.shape[1]}: take the layers that it was fitted on"
        )
    scores = bias[None, :, None, None].expand(len(maps[0]), -1, size, size).clone()
    for layer, part in zip(maps, weight.split(channels, dim=1), strict=True):
        scores += _scored(layer.float(), part[:, :, None, None], size)
    return _best_of_groups(scores, getattr(classifier, "groups", None))


def has_planes(classifier: Any) -> bool:
    """Whether a classifier's scores are those of planes: ``weight`` (K, D), ``bias`` (K)."""
    shapes = [np.shape(getattr(classifier, name, 0)) for name in ("weight", "bias")]
    return len(shapes[0]) == 2 and shapes[1] == shapes[0][:1]


def _asked(answer: Callable[[Any], Any], maps: Sequence[Tensor], size: int) -> Tensor:
    """(N, size, size, ...) what a clusterer answers for every pixel's row of features."""
    stacked = stack_maps(maps, size).movedim(1, -1)  # (N, size, size, D)
    rows = stacked.flatten(0, 2).cpu().numpy()
    found = [np.asarray(answer(part)) for part in np.split(rows, range(_ROWS, len(rows), _ROWS))]
    answers = torch.from_numpy(np.concatenate(found))
    return answers.view(*stacked.shape[:3], *answers.shape[1:]).to(stacked.device)


def _scored(layer: Tensor, kernel: Tensor, size: int) -> Tensor:
    """One layer's share of the scores."""
    if layer.shape[1] > len(kernel):
        return stack_maps([F.conv2d(layer, kernel)], size)
    return F.conv2d(stack_maps([layer], size), kernel)


def _best_of_groups(scores: Tensor, groups: Any) -> Tensor:
    """A group scores as its best plane does (KASP)."""
    if groups is None:
        return scores
    numbers = torch.as_tensor(groups, device=scores.device)
    best = [scores[:, numbers == group].amax(dim=1) for group in range(int(numbers.max()) + 1)]
    return torch.stack(best, dim=1)
