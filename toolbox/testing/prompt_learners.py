"""The conformance check of prompt learners."""

from __future__ import annotations

import copy
import io
from typing import Any

import torch
from torch import Tensor

from toolbox.interfaces import PromptLearner
from toolbox.testing.common import check_state_round_trip, close, evaluating, require


def check_prompt_learner(learner: PromptLearner, clip: Any = None, latents: Tensor | None = None) -> None:
    """Check the contract of :class:`toolbox.interfaces.PromptLearner`.

    - token embeddings are (n, L, d_token), finite, one prompt independent of the others;
    - with ``clip``: ``encode`` gives finite (n, d_clip), by default of all prompts, and gradients reach what
      is trainable;
    - a learner of several ``names`` writes the same context before each, the first where none is said, and
      refuses others;
    - ``nearest_words``, where there is one, gives words for each prompt; a learner that maps latents needs
      them;
    - an exported record is plain (``torch.load`` reads it without running code) and restores the prompts;
    - the state dict holds everything.

    Args:
        learner: it is left as it was.
        clip: the network that encodes texts.
        latents: (n, latent_dim), for a learner that maps latents.

    Raises:
        AssertionError: naming what is broken.
    """
    name = type(learner).__name__
    require(isinstance(learner, PromptLearner), f"{name} does not inherit toolbox.interfaces.PromptLearner")
    require(
        latents is not None or learner.n_prompts > 0, f"{name}.n_prompts is 0: pass the latents that it maps"
    )
    which = torch.arange(learner.n_prompts) if latents is None else latents
    with evaluating(learner):
        with torch.no_grad():
            _check_embeddings(learner, which, name)
            _check_names(learner, which, name)
            check_state_round_trip(
                learner, lambda network: network.eval()(which), name, lambda network: network(which.flip(0))
            )
            _check_export(learner, which, name)
        if clip is not None:
            _check_encoding(learner, clip, which, latents is None, name)
            _check_words(learner, clip, which, name)


def _check_embeddings(learner: PromptLearner, which: Tensor, name: str) -> None:
    embeddings = learner(which)
    require(
        embeddings.ndim == 3 and len(embeddings) == len(which),
        f"{name}: embeddings are {tuple(embeddings.shape)}, expected ({len(which)}, L, d_token)",
    )
    require(bool(embeddings.isfinite().all()), f"{name}: embeddings are not finite")
    require(
        close(learner(which.flip(0)).flip(0), embeddings),
        f"{name}: a prompt depends on the order in which prompts are asked for",
    )
    require(
        close(learner(which[:1]), embeddings[:1]), f"{name}: a prompt depends on which others are asked for"
    )


def _check_names(learner: PromptLearner, which: Tensor, name: str) -> None:
    if not learner.names:
        return
    first = learner(which)
    require(
        torch.equal(first, learner(which, learner.names[0])),
        f"{name}: without a name the first of {learner.names} is meant",
    )
    context = (first != first[:1]).any(dim=2).any(dim=0)  # slots that differ from prompt to prompt
    for other in learner.names[1:]:
        found = learner(which, other)
        length = min(first.shape[1], found.shape[1])
        require(
            first.shape != found.shape or not torch.equal(first, found),
            f"{name}: the prompts named {other!r} are those named {learner.names[0]!r}",
        )
        same = (first[:, :length] == found[:, :length]).all(dim=2).all(dim=0)
        require(
            bool(same[context[:length]].all()),
            f"{name}: the prompts named {other!r} have another context than those named {learner.names[0]!r}",
        )
    try:
        learner(which, "no such name")
    except ValueError as error:
        require("no such name" in str(error), f"{name}: the error for an unknown name lacks it: {error}")
        return
    raise AssertionError(f"{name} takes a name that is not among {learner.names}")


def _check_words(learner: PromptLearner, clip: Any, which: Tensor, name: str) -> None:
    try:
        words = learner.nearest_words(clip, 2, which)
    except NotImplementedError:
        return
    pairs = [pair for slots in words for slot in slots for pair in slot]
    require(
        len(words) == len(which) and all(len(slot) <= 2 for slots in words for slot in slots),
        f"{name}.nearest_words(clip, 2, which) gives {len(words)} prompts for {len(which)}, or more than 2 "
        "words for a slot",
    )
    require(
        all(isinstance(word, str) and isinstance(distance, float) for word, distance in pairs),
        f"{name}.nearest_words must give (word, distance): got {pairs[:1]}",
    )


def _check_encoding(learner: PromptLearner, clip: Any, which: Tensor, by_index: bool, name: str) -> None:
    features = learner.encode(clip, which)
    require(
        features.ndim == 2 and len(features) == len(which),
        f"{name}.encode is {tuple(features.shape)}, expected ({len(which)}, d)",
    )
    require(bool(features.isfinite().all()), f"{name}.encode is not finite")
    if by_index:
        require(
            close(learner.encode(clip), features),
            f"{name}.encode(clip) must encode all {learner.n_prompts} prompts in order",
        )
    elif not learner.n_prompts:
        _check_needs_latents(learner, clip, name)
    trainable = [value for value in learner.parameters() if value.requires_grad and value.numel()]
    if trainable:
        weights = torch.randn(features.shape, generator=torch.Generator().manual_seed(0))
        found = torch.autograd.grad((features * weights).sum(), trainable, allow_unused=True)
        require(
            any(g is not None and bool(g.abs().sum() > 0) for g in found),
            f"{name}.encode: no gradient reaches the prompts",
        )


def _check_needs_latents(learner: PromptLearner, clip: Any, name: str) -> None:
    try:
        learner.encode(clip)
    except ValueError:
        return
    raise AssertionError(f"{name}.encode(clip) without latents must raise ValueError: n_prompts is 0")


def _check_export(learner: PromptLearner, which: Tensor, name: str) -> None:
    try:
        record = learner.export()
    except NotImplementedError:
        return
    file = io.BytesIO()
    torch.save(record, file)
    file.seek(0)
    try:
        read = torch.load(file, weights_only=True)
    except Exception as error:
        raise AssertionError(f"{name}.export gives more than lists, strings and tensors: {error}") from error
    other = copy.deepcopy(learner)
    for parameter in other.parameters():
        parameter.add_(0.1)
    other.restore(read)
    require(close(other(which), learner(which)), f"{name}.restore does not bring back what export wrote")
