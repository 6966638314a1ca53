"""What the checks share."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from toolbox.interfaces import Condition, Sample

TOLERANCE = 1e-4  # of float32 results that different batch sizes may round differently


def require(holds: Any, message: str) -> None:
    """AssertionError with ``message`` unless ``holds`` (a bare assert says nothing under ``python -O``)."""
    if not holds:
        raise AssertionError(message)


def close(one: Tensor, other: Tensor, tolerance: float = TOLERANCE) -> bool:
    """Whether two tensors agree up to rounding, relative to their size; infinities must be equal."""
    if one.shape != other.shape:
        return False
    one, other = one.detach(), other.detach()
    differ = one != other
    if not differ.any():
        return True
    finite = other[other.isfinite()].abs()
    size = max(1.0, float(finite.max()) if finite.numel() else 0.0)
    return bool(((one - other)[differ].abs() <= tolerance * size).all())


def rng(seed: int = 0) -> torch.Generator:
    """A CPU generator."""
    return torch.Generator().manual_seed(seed)


def random_sample(n: int = 8, image_size: int = 32, classes: int = 3, seed: int = 0) -> Sample:
    """n random images in [-1, 1], numbered, of known classes; ``weights`` are one-hot in the class."""
    labels = torch.arange(n) % classes
    noise = torch.rand(n, 3, image_size, image_size, generator=rng(seed)) * 2 - 1
    tint = torch.linspace(-0.5, 0.5, classes)[labels][:, None, None, None]
    condition = Condition(labels=labels, weights=nn.functional.one_hot(labels, classes).float())
    return Sample((0.5 * noise + tint).clamp(-1, 1), condition, index=torch.arange(n))


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Eval mode inside, the modes and gradients of before afterwards."""
    modes = [(part, part.training) for part in module.modules()]
    gradients = [(parameter, parameter.grad) for parameter in module.parameters()]
    module.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
        for parameter, gradient in gradients:
            parameter.grad = gradient


def made_of(component: Any) -> tuple[Any, Callable[[], Any] | None]:
    """(a component, how a fresh one is made): of a component, or of what makes one (a class, a partial)."""
    if isinstance(component, nn.Module) or not callable(component):
        return component, None
    return component(), component


def check_state_round_trip(
    module: nn.Module,
    answer: Callable[[Any], Tensor],
    name: str,
    move: Callable[[Any], Any],
    make: Callable[[], Any] | None = None,
) -> None:
    """What the answer depends on must come back with the state dict, and what is trainable must be in it.

    Args:
        module: the module.
        answer: of a module like it, in eval mode.
        name: for messages.
        move: a forward pass of it in training mode, which may move what it keeps.
        make: makes a fresh module; None = a copy, whose plain tensors are changed.
    """
    _refuse_loose_parameters(module, name)
    fresh = _fresh(module, make)
    _load(fresh, module, name)
    loose = [*_plain(module)]
    hint = f" ({', '.join(loose)}: neither parameter nor buffer)" if loose else ""
    require(
        close(answer(fresh), answer(module)),
        f"{name}: loading its own state_dict does not restore its answers{hint}",
    )
    moved = copy.deepcopy(module).train()
    before = _plain(copy.deepcopy(module), numbers=True)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        move(moved)
    after = _plain(moved, numbers=True)
    changed = [key for key in after if key not in before or not _equal(before[key], after[key])]
    restored = copy.deepcopy(module)
    _load(restored, moved, name)
    require(
        close(answer(restored), answer(moved)),
        f"{name}: after a pass in training mode, loading its state_dict does not restore its answers: "
        f"{', '.join(changed) or 'something'} moved and is neither parameter nor buffer; use register_buffer",
    )


def _refuse_loose_parameters(module: nn.Module, name: str) -> None:
    for key, tensor in _plain(module).items():
        require(
            not (isinstance(tensor, Tensor) and tensor.is_leaf and tensor.requires_grad),
            f"{name}: {key} is trainable but not in the state_dict: assign an nn.Parameter, or use "
            "nn.ParameterList",
        )


def _plain(module: nn.Module, numbers: bool = False) -> dict[str, Any]:
    """{dotted name: value} of tensors and arrays, or numbers too, that are attributes and no buffers."""
    kinds = (Tensor, np.ndarray, float, int) if numbers else (Tensor, np.ndarray)
    found = {}
    for path, part in module.named_modules():
        for key, value in vars(part).items():
            where = f"{path}.{key}" if path else key
            several = value if isinstance(value, (list, tuple)) else [value]
            for number, item in enumerate(several):
                if isinstance(item, kinds) and key != "training":
                    found[where if item is value else f"{where}[{number}]"] = item
    return found


def _fresh(module: nn.Module, make: Callable[[], Any] | None) -> Any:
    if make is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            return make().eval()
    other = copy.deepcopy(module)
    with torch.no_grad():
        for value in [*other.state_dict().values(), *_plain(other).values()]:
            if isinstance(value, Tensor) and value.is_floating_point():
                value.add_(0.1)
            elif isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.floating):
                value += 0.1
    return other


def _load(module: nn.Module, source: nn.Module, name: str) -> None:
    try:
        module.load_state_dict(source.state_dict(), strict=True)
    except RuntimeError as error:
        raise AssertionError(f"{name}: a fresh one does not load its state_dict: {error}") from error


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return torch.equal(one, other)
    return bool(np.array_equal(one, other))


def check_global_rng_untouched(draw: Callable[[], Any], what: str) -> None:
    """Every draw must come from the generator that was handed in."""
    before = torch.random.get_rng_state()
    draw()
    untouched = torch.equal(before, torch.random.get_rng_state())
    torch.random.set_rng_state(before)
    require(
        untouched,
        f"{what} draws from torch's global generator; draw from the rng that it is given (generator=rng)",
    )


def check_gradients(
    module: nn.Module, loss: Tensor, name: str, inputs: Tensor | None = None, what: str = "input"
) -> None:
    """Every trainable parameter, and the input, must feel a loss."""
    for parameter in module.parameters():
        parameter.grad = None
    loss.backward()
    if inputs is not None:
        require(
            inputs.grad is not None and bool(inputs.grad.abs().sum() > 0),
            f"{name}: no gradient reaches its {what}",
        )
    trainable = {key: parameter for key, parameter in module.named_parameters() if parameter.requires_grad}
    unused = [key for key, parameter in trainable.items() if parameter.grad is None]
    require(not unused, f"{name}: no gradient reaches the parameters {unused[:5]}; are they used?")
