"""What the checks share."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from toolbox.interfaces import Condition, Sample

TOLERANCE = 1e-4  # of float32 results that different batch sizes may round differently


def require(holds: Any, message: str) -> None:
    """AssertionError with ``message`` unless ``holds`` (a bare assert says nothing under ``python -O``)."""
    if not holds:
        raise AssertionError(message)


def close(one: Tensor, other: Tensor, tolerance: float = TOLERANCE) -> bool:
    """Whether two tensors agree up to rounding, relative to their size."""
    if one.shape != other.shape:
        return False
    if not one.numel():
        return True
    one, other = one.detach(), other.detach()
    size = max(1.0, float(other.abs().max()))
    return bool((one - other).abs().max() <= tolerance * size)


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


def check_state_round_trip(module: nn.Module, answer: Callable[[Any], Tensor], name: str) -> None:
    """What the answer depends on must come back with the state dict, and what is trainable must be in it."""
    for path, part in module.named_modules():
        for key, value in vars(part).items():
            held = value if isinstance(value, (list, tuple)) else [value]
            tensors = [item for item in held if isinstance(item, Tensor)]
            where = f"{path}.{key}" if path else key
            require(
                not any(tensor.is_leaf and tensor.requires_grad for tensor in tensors),
                f"{name}: {where} is trainable but not in the state_dict: assign an nn.Parameter, or use "
                "nn.ParameterList",
            )
    other = copy.deepcopy(module)
    with torch.no_grad():
        for value in other.state_dict().values():
            if value.is_floating_point():
                value.add_(0.1)
    other.load_state_dict(module.state_dict(), strict=True)
    require(
        close(answer(other), answer(module)),
        f"{name}: loading its own state_dict does not restore its answers",
    )


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
