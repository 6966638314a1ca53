"""The conformance check of conditioners."""

from __future__ import annotations

import copy
import functools
from types import SimpleNamespace
from typing import Any

import torch

from toolbox.interfaces import Condition, Conditioner, Request, TextCodes
from toolbox.testing.common import check_global_rng_untouched, close, require, rng

N = 12
FIELDS = ("labels", "weights", "text", "mask", "codes")


def check_conditioner(conditioner: Conditioner, dataset: Any = None, game: Any = None) -> None:
    """Check the contract of :class:`toolbox.interfaces.Conditioner`.

    - ``sample`` gives Conditions of n images, a function of the rng (and of the labels, when given); rows of
      weights are >= 0 and sum to 1;
    - ``names`` has one name for each label or each column of the weights, ``modes`` is a Condition or None;
    - each of its ``requests`` is fulfilled: conditions of n images, of the class asked for; a function of the
      rng; what it does not grant, and a class that there is not, is a ValueError;
    - with ``dataset``: after ``prepare`` it completes real batches, and ``after_iteration`` is a function of
      its rng; what ``of_real`` gives has a row for each real image;
    - ``complete`` keeps the rows, gives each its own codes, changes nothing the second time, draws nothing;
    - texts: ``in_words`` gives one a row or none; ``of_texts`` of them gives these words again;
    - a fresh one that loads its state dict draws the same.

    Args:
        conditioner: not prepared; it is left as it was.
        dataset: the training set it is prepared on (a Stream, a CaptionStream), for one that needs it.
        game: what it asks for networks, the device and ``gather``; default one without networks, in one
            process.

    Raises:
        AssertionError: naming what is broken.
    """
    name = type(conditioner).__name__
    if game is None:
        game = SimpleNamespace(device=torch.device("cpu"), gather=lambda rows: rows)
    require(isinstance(conditioner, Conditioner), f"{name} does not inherit toolbox.interfaces.Conditioner")
    ready = copy.deepcopy(conditioner)
    if dataset is not None:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            ready.prepare(dataset, game)
        _check_real(ready, dataset, game, name)
    _check_draws(ready, name)
    _check_requests(ready, name)
    _check_completion(ready, name)
    _check_words(ready, name)
    fresh = copy.deepcopy(conditioner)
    fresh.load_state_dict(ready.state_dict(), strict=True)
    require(
        _equal(fresh.sample(N, rng()), ready.sample(N, rng())),
        f"{name}: one that loads its state_dict draws other conditions",
    )


def _check_draws(conditioner: Conditioner, name: str) -> None:
    condition = conditioner.sample(N, rng())
    require(
        isinstance(condition, Condition),
        f"{name}.sample must give a Condition, got {type(condition).__name__}",
    )
    require(len(condition) in (0, N), f"{name}.sample({N}) gives conditions of {len(condition)} images")
    require(_equal(condition, conditioner.sample(N, rng())), f"{name}.sample is not a function of its rng")
    check_global_rng_untouched(lambda: conditioner.sample(N, rng()), f"{name}.sample")
    if condition.labels is not None:
        labels = condition.labels.flip(0)
        given = conditioner.sample(N, rng(), labels).labels
        require(
            given is not None and torch.equal(given, labels),
            f"{name}.sample ignores the labels that it is given",
        )
    if len(condition):
        require(
            any(not _equal(condition, conditioner.sample(N, rng(seed))) for seed in range(1, 5)),
            f"{name}.sample ignores its rng",
        )
    _check_rows(condition, name)
    _check_names(conditioner, condition, name)


def _check_requests(conditioner: Conditioner, name: str) -> None:
    for kind, named in conditioner.requests().items():
        for title, request in named.items():
            condition = conditioner.fulfil(request, 3, rng())
            what = f"{name}.requests()[{kind!r}][{title!r}]"
            require(len(condition) == 3, f"{what} gives conditions of {len(condition)} images instead of 3")
            require(
                _equal(condition, conditioner.fulfil(request, 3, rng())), f"{what} is not a function of rng"
            )
            _check_rows(condition, what)
            if request.class_name is not None:
                label = list(conditioner.class_names).index(request.class_name)
                labels = condition.labels
                require(labels is not None and bool((labels == label).all()), f"{what} shows another class")
    refused = [Request(class_name="no such class")]
    refused += [Request(text="a bird")] if "text" not in conditioner.grants else []
    for request in refused:
        try:
            conditioner.fulfil(request, 1, rng())
        except ValueError:
            continue
        require(False, f"{name}.fulfil takes {request}, which it cannot grant: it must raise ValueError")


def _check_rows(condition: Condition, name: str, zero_allowed: bool = False) -> None:
    weights = condition.weights
    if weights is None:
        return
    sums = weights.sum(dim=1)
    fine = (sums - 1).abs() < 1e-4
    if zero_allowed:
        fine |= sums == 0
    require(
        weights.ndim == 2 and bool((weights >= 0).all()) and bool(fine.all()),
        f"{name}: rows of weights must be >= 0 and sum to 1",
    )


def _check_names(conditioner: Conditioner, condition: Condition, name: str) -> None:
    names = conditioner.names()
    require(all(isinstance(item, str) for item in names), f"{name}.names() must be texts")
    if condition.weights is not None and names:
        require(
            len(names) == condition.weights.shape[1],
            f"{name}.names() has {len(names)} names for {condition.weights.shape[1]} weights",
        )
    elif condition.labels is not None and names:
        require(
            len(names) > int(condition.labels.max()),
            f"{name}.names() has {len(names)} names, labels go to {int(condition.labels.max())}",
        )
    modes = conditioner.modes()
    require(modes is None or isinstance(modes, Condition), f"{name}.modes() must give a Condition or None")


def _check_real(conditioner: Conditioner, dataset: Any, game: Any, name: str) -> None:
    from toolbox.training.game.batches import as_sample

    n = min(N, len(dataset))
    sample = as_sample(torch.utils.data.default_collate([dataset[i] for i in range(n)]))
    completed = conditioner.real(sample)
    require(
        isinstance(completed, Condition) and len(completed) in (0, n),
        f"{name}.real must give the Condition of the batch",
    )
    _check_rows(completed, name, zero_allowed=True)
    asked = conditioner.of_real(sample.replace(condition=completed), rng())
    require(
        asked is None or (isinstance(asked, Condition) and len(asked) == n),
        f"{name}.of_real must give a Condition of the {n} real images, or None",
    )
    states = []
    for _ in range(2):
        other = copy.deepcopy(conditioner)
        move = functools.partial(other.after_iteration, game, sample)
        check_global_rng_untouched(lambda move=move: move(rng()), f"{name}.after_iteration")  # type: ignore[misc]
        states.append(other.state_dict())
    same = all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    require(same, f"{name}.after_iteration is not a function of its rng")


def _check_completion(conditioner: Conditioner, name: str) -> None:
    """What networks compute of a condition: codes."""
    condition = conditioner.sample(N, rng())
    with torch.no_grad():
        check_global_rng_untouched(lambda: conditioner.complete(condition), f"{name}.complete")
        whole = conditioner.complete(condition)
        again = conditioner.complete(whole)
        rows = conditioner.complete(condition[:3])
    require(len(whole) == len(condition), f"{name}.complete gives {len(whole)} rows of {len(condition)}")
    require(_equal(again, whole), f"{name}.complete changes a condition that is complete")
    if whole.codes is not None and rows.codes is not None:
        require(
            close(rows.codes.sentence, whole.codes.sentence[:3]),
            f"{name}.complete: the codes of a caption depend on the other captions of its batch",
        )


def _check_words(conditioner: Conditioner, name: str) -> None:
    """Texts in, texts out."""
    texts = conditioner.in_words(conditioner.sample(N, rng()))
    require(
        isinstance(texts, list) and len(texts) in (0, N) and all(isinstance(text, str) for text in texts),
        f"{name}.in_words must give a text for each of {N} rows, or []",
    )
    if not texts or type(conditioner).of_texts is Conditioner.of_texts:
        return
    found = conditioner.of_texts(texts)
    require(len(found) == N, f"{name}.of_texts gives {len(found)} conditions of {N} texts")
    require(conditioner.in_words(found) == texts, f"{name}.of_texts: its conditions say other words")


def _equal(one: Condition, other: Condition) -> bool:
    return all(_same(getattr(one, field), getattr(other, field)) for field in FIELDS)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, TextCodes) and isinstance(other, TextCodes):
        return all(_same(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True))
    return type(one) is type(other) and bool(one == other)
