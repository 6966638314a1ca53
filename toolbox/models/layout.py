"""How one way to write a network down is described."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

State = dict[str, Tensor]
Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Rule:
    """What becomes of tensors of some names.

    Attributes:
        pattern: of the whole name.
        target: the new name, as a function of the match; None = dropped once ``change`` has seen it.
        change: of the values; may raise ValueError.
    """

    pattern: str
    target: Callable[[re.Match[str]], str] | None
    change: Callable[[re.Match[str], Tensor], Tensor] = lambda match, tensor: tensor


@dataclass(frozen=True)
class Layout:
    """One way to write a network down.

    Attributes:
        family: name of our component.
        marks: names that only this layout has, as patterns.
        rules: the first that matches counts.
        before: spells all names (and orders all kernels) as the rules expect.
        after: adds what is not stored.
        arguments: constructor arguments of the family, read off our tensors; None = those of
            :func:`toolbox.models.stylegan_sizes.arguments`.
    """

    family: str
    marks: tuple[str, ...]
    rules: Callable[[State], list[Rule]]
    before: Callable[[State], State] = lambda state: state
    after: Callable[[State], State] = lambda state: state
    arguments: Callable[[Mapping[str, Tensor]], dict[str, Any]] | None = None
