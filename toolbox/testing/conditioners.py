"""The conformance check of conditioners."""

from __future__ import annotations

import copy
import functools
from types import SimpleNamespace
from typing import Any

import torch

from toolbox.interfaces import Condition, Conditioner, Request, Sample
from toolbox.testing.common import check_global_rng_untouched, require, rng

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
      its rng;
    - a fresh one that loads its state dict draws the same.

    Args:
        conditioner: not prepared; it is left as it was.
        dataset: the training set it is prepared on (a Stream), for one that needs it.
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
    items = [dataset[i] for i in range(min(N, len(dataset)))]
    images = torch.stack([item["images"] for item in items])
    index = torch.tensor([item["index"] for item in items])
    sample = Sample(images, Condition(labels=torch.tensor([item["labels"] for item in items])), index=index)
    completed = conditioner.real(sample)
    require(
        isinstance(completed, Condition) and len(completed) in (0, len(items)),
        f"{name}.real must give the Condition of the batch",
    )
    _check_rows(completed, name, zero_allowed=True)
    states = []
    for _ in range(2):
        other = copy.deepcopy(conditioner)
        move = functools.partial(other.after_iteration, game, sample)
        check_global_rng_untouched(lambda move=move: move(rng()), f"{name}.after_iteration")  # type: ignore[misc]
        states.append(other.state_dict())
    same = all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    require(same, f"{name}.after_iteration is not a function of its rng")


def _equal(one: Condition, other: Condition) -> bool:
    for field in FIELDS:
        a, b = getattr(one, field), getattr(other, field)
        if isinstance(a, torch.Tensor) != isinstance(b, torch.Tensor):
            return False
        if not (torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b):
            return False
    return True
