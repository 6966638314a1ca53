"""Adaptive discriminator augmentation: a pipeline of transformations, and the control of their probability.

Karras et al.: Training Generative Adversarial Networks with Limited Data, NeurIPS 2020, sections 2 and 3,
appendix B.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, islice
from typing import Any

import torch
from torch import Tensor

from toolbox import ranks
from toolbox.interfaces import Augment, draw_rows, moved, normal_rows
from toolbox.models import ada_transforms as change
from toolbox.models.layers import near
from toolbox.ranges import check_in, check_positive, check_probability, check_whole, given

GROUPS = {
    "blit": ("xflip", "rotate90", "xint"),
    "geom": ("scale", "rotate", "aniso", "xfrac"),
    "color": ("brightness", "contrast", "lumaflip", "hue", "saturation"),
    "filter": ("imgfilter",),
    "noise": ("noise",),
    "cutout": ("cutout",),
}


def _operations_of(groups: int) -> tuple[str, ...]:
    """Operations of the first so many groups."""
    return tuple(chain(*islice(GROUPS.values(), groups)))


PIPELINES = {
    "bg": _operations_of(2),
    "bgc": _operations_of(3),
    "bgcf": _operations_of(4),
    "bgcfn": _operations_of(5),
    "bgcfnc": _operations_of(6),
}
OPERATIONS = PIPELINES["bgcfnc"]
GREY = torch.outer(change.LUMA, change.LUMA)  # projects colours on the grey axis


class Draws:
    """Parameters of a batch: each is drawn for each image, on the CPU.

    Args:
        n: images at hand.
        p: probability that an operation acts on an image.
        rng: what everything is drawn from.
        percentile: in [0, 1), takes the place of every draw and lets every operation act: for comparisons.
    """

    def __init__(
        self, n: int, p: float, rng: torch.Generator | None, percentile: float | None = None
    ) -> None:
        self.n = n
        self.p = p
        self.rng = rng
        self.percentile = percentile

    def uniform(self, low: float, high: float) -> Tensor:
        """(N,) in [low, high)."""
        if self.percentile is not None:
            return torch.full((self.n,), low + self.percentile * (high - low))
        shares = draw_rows(lambda n: torch.rand(n, generator=self.rng), self.n, self.rng)
        return low + (high - low) * shares

    def normal(self, std: float) -> Tensor:
        """(N,) of N(0, std^2)."""
        if self.percentile is not None:
            quantile = torch.full((self.n,), 2 * self.percentile - 1)
            return torch.erfinv(quantile) * std  # sqrt 2 is left out, as in the published code
        return draw_rows(lambda n: torch.randn(n, generator=self.rng), self.n, self.rng) * std

    def whole(self, below: int) -> Tensor:
        """(N,) whole numbers 0 .. below - 1, as floats."""
        return self.uniform(0, below).floor()

    def acts(self, p: float | None = None) -> Tensor:
        """(N,) bool: whether an operation acts on each image."""
        if self.percentile is not None:
            return torch.ones(self.n, dtype=torch.bool)
        return self.uniform(0, 1) < (self.p if p is None else p)

    def maybe(self, value: Tensor, otherwise: float, p: float | None = None) -> Tensor:
        """(N,): the value where the operation acts."""
        return value.where(self.acts(p), torch.tensor(otherwise))


# geometry: each operation makes the inverse (N, 3, 3) of its own matrix


def _flip(draws: Draws, width: int, height: int) -> Tensor:
    return change.scale(1 - 2 * draws.maybe(draws.whole(2), 0), 1)


def _quarters(draws: Draws, width: int, height: int) -> Tensor:
    return change.rotate(math.pi / 2 * draws.maybe(draws.whole(4), 0))


def _whole_shift(draws: Draws, width: int, height: int) -> Tensor:
    x = draws.uniform(-0.125, 0.125)
    y = draws.uniform(-0.125, 0.125)
    acts = draws.acts()
    return change.translate(-(x * width * acts).round(), -(y * height * acts).round())


def _zoom(draws: Draws, width: int, height: int) -> Tensor:
    s = draws.maybe(draws.normal(0.2).exp2(), 1)
    return change.scale(1 / s, 1 / s)


def _turn(draws: Draws, width: int, height: int) -> Tensor:
    """One of two, before and after stretching, so that one or the other acts with probability p."""
    each = 1 - math.sqrt(min(max(1 - draws.p, 0.0), 1.0))  # 1 - (1 - each)^2 = p
    return change.rotate(draws.maybe(draws.uniform(-math.pi, math.pi), 0, each))


def _second_turn(draws: Draws, width: int, height: int) -> Tensor:
    return _turn(draws, width, height) if draws.percentile is None else torch.eye(3)[None]


def _stretch(draws: Draws, width: int, height: int) -> Tensor:
    s = draws.maybe(draws.normal(0.2).exp2(), 1)
    return change.scale(1 / s, s)


def _shift(draws: Draws, width: int, height: int) -> Tensor:
    x = draws.normal(0.125)
    y = draws.normal(0.125)
    acts = draws.acts()
    return change.translate(-x * width * acts, -y * height * acts)


GEOMETRY: tuple[tuple[str, Callable[[Draws, int, int], Tensor]], ...] = (
    ("xflip", _flip),
    ("rotate90", _quarters),
    ("xint", _whole_shift),
    ("scale", _zoom),
    ("rotate", _turn),
    ("aniso", _stretch),
    ("rotate", _second_turn),
    ("xfrac", _shift),
)


def inverse_geometry(draws: Draws, operations: Sequence[str], width: int, height: int) -> Tensor:
    """(N, 3, 3): output pixel -> input pixel, the inverse of all transformations together."""
    total = torch.eye(3).repeat(draws.n, 1, 1)
    for name, inverse in GEOMETRY:
        if name in operations:
            total = total @ inverse(draws, width, height)
    return total


# colour: each operation makes its matrix (N, 4, 4)


def _invert_luma(draws: Draws) -> Tensor:
    acts = draws.maybe(draws.whole(2), 0)[:, None, None]
    return torch.eye(4) - 2 * GREY * acts  # Householder reflection at the plane without luma


def _saturate(draws: Draws) -> Tensor:
    s = draws.maybe(draws.normal(1.0).exp2(), 1)[:, None, None]
    return GREY + (torch.eye(4) - GREY) * s


COLOUR: tuple[tuple[str, Callable[[Draws], Tensor]], ...] = (
    ("brightness", lambda draws: change.shift_colours(draws.maybe(draws.normal(0.2), 0))),
    ("contrast", lambda draws: change.scale_colours(draws.maybe(draws.normal(0.5).exp2(), 1))),
    ("lumaflip", _invert_luma),
    ("hue", lambda draws: change.turn_colours(draws.maybe(draws.uniform(-math.pi, math.pi), 0))),
    ("saturation", _saturate),
)


def colour_change(draws: Draws, operations: Sequence[str]) -> Tensor:
    """(N, 4, 4): all changes of colour together; the last row is of no meaning."""
    total = torch.eye(4).repeat(draws.n, 1, 1)
    for name, make in COLOUR:
        if name in operations:
            total = make(draws) @ total
    return total


def band_gains(draws: Draws) -> Tensor:
    """(N, 4): of the octaves, such that each draw leaves the expected power of a natural image as it was."""
    gains = torch.ones(draws.n, 4)
    for band in range(4):
        factor = torch.ones(draws.n, 4)
        factor[:, band] = draws.maybe(draws.normal(1.0).exp2(), 1)
        power = (change.BAND_POWER * factor.square()).sum(dim=1, keepdim=True)  # (N, 1)
        gains = gains * factor / power.sqrt()
    return gains


def noise_level(draws: Draws) -> Tensor:
    """sigma (N, 1, 1, 1), itself |N(0, 0.1^2)|."""
    if draws.percentile is None:
        sigma = draws.maybe(draws.normal(0.1).abs(), 0)
    else:
        sigma = torch.erfinv(torch.full((draws.n,), draws.percentile)) * 0.1  # of |N|: not 2 percentile - 1
    return sigma[:, None, None, None]


class AdaptiveAugment(Augment):
    """ADA: operations act on each image with probability p, which follows the discriminator's overfitting.

        r = E sign D(real)
        every few iterations   p <- p + sign(r - target) images / (1000 speed_kimg)   (section 3)

    Args:
        pipeline: 'bg', 'bgc', 'bgcf', 'bgcfn' or 'bgcfnc' (blit, geometry, colour, filter, noise, cutout), or
            names of groups or single operations, in a list or separated by commas. 'imgfilter' needs images
            of more than 21 pixels.
        target: of r; None = p stays.
        p: at the start.
        speed_kimg: thousands of images in which p can go from 0 to 1 (500; 100 when fine-tuning).
        every: iterations between two steps of p.
        highest: of p; the published code has no limit (math.inf): what is beyond 1 only takes longer to come
            down.

    Raises:
        ValueError: for an unknown pipeline, a p outside [0, 1], or a speed or interval that p cannot move
            with.
    """

    p: Tensor
    signs: Tensor
    lowpass: Tensor
    bank: Tensor

    def __init__(
        self,
        pipeline: str | Sequence[str] = "bgc",
        target: float | None = 0.6,
        p: float = 0.0,
        speed_kimg: float = 500,
        every: int = 4,
        highest: float = 1.0,
    ) -> None:
        super().__init__()
        check_probability(p=p)
        check_in("[-1, 1]", **given(target=target))  # of a mean of signs; None leaves p as it is
        check_positive(speed_kimg=speed_kimg)
        check_whole(1, every=every)
        check_in("(0, inf]", highest=highest)
        self.operations = read_pipeline(pipeline)
        self.pipeline = pipeline
        self.target = target
        self.speed_kimg = speed_kimg
        self.every = every
        self.highest = highest
        self.register_buffer("p", torch.tensor(float(p)))
        # sum of sign D(real), and how many, since p was last moved
        self.register_buffer("signs", torch.zeros(2))
        self.register_buffer("lowpass", change.lowpass_filter(), persistent=False)
        self.register_buffer("bank", change.filter_bank(), persistent=False)
        self._noted: list[Tensor] = []  # (2,) like ``signs``, of this iteration and this rank
        self._read: tuple[Tensor, int, float] | None = None  # p, its version, its value

    def forward(
        self,
        images: Tensor,
        rng: torch.Generator | None = None,
        drawn: Mapping[str, Any] | None = None,
        percentile: float | None = None,
    ) -> Tensor:
        """Images (N, 3 or 1, H, W) in; the same shape out, which may leave [-1, 1].

        ``drawn``: from :meth:`draw`, on the images' device; None = drawn here, from ``rng``.
        ``percentile``: see :class:`Draws`.
        """
        planned = drawn
        if planned is None:
            planned = moved(self.draw(len(images), images.shape[1:], rng, percentile), images.device)
        if "theta" in planned:
            images = change.resample(images, planned["margins"], planned["theta"].to(images), self.lowpass)
        if "colours" in planned:
            images = change.recolour(images, planned["colours"])
        if "gains" in planned:  # (N, 4) @ (4, 43)
            images = change.filter_images(images, planned["gains"].to(self.bank) @ self.bank)
        if "sigma" in planned:
            noise = normal_rows(*images.shape, rng=rng, device=images.device)
            images = images + (noise * planned["sigma"]).to(images)
        if "cut" in planned:
            images = change.cut(images, *(value.to(images) for value in planned["cut"]))
        return images

    def draw(
        self,
        n: int,
        shape: Sequence[int],
        rng: torch.Generator | None,
        percentile: float | None = None,
    ) -> dict[str, Any]:
        """Parameters of all operations, drawn in the order in which they act, on the CPU.

        ``percentile``: see :class:`Draws`.
        """
        draws = Draws(n, self.probability(), rng, percentile)
        plan: dict[str, Any] = {}
        if self._any("blit", "geom"):
            _, height, width = shape
            inverse = inverse_geometry(draws, self.operations, width, height)
            plan["margins"], plan["theta"] = change.resampling(inverse, width, height, len(self.lowpass))
        if self._any("color"):
            names = self.operations
            if shape[0] == 1:  # grey
                names = tuple(name for name in names if name not in ("hue", "saturation"))
            plan["colours"] = colour_change(draws, names)
        if self._any("filter"):
            plan["gains"] = band_gains(draws)
        if self._any("noise"):
            plan["sigma"] = noise_level(draws)
        if self._any("cutout"):
            size = draws.maybe(torch.full((draws.n,), 0.5), 0)
            plan["cut"] = size, draws.uniform(0, 1), draws.uniform(0, 1)
        return plan

    def probability(self) -> float:
        """p as a number, read from the device only after it has changed."""
        if self._read is None or self._read[0] is not self.p or self._read[1] != self.p._version:
            self._read = (self.p, self.p._version, float(self.p))
        return self._read[2]

    @torch.no_grad()
    def observe(self, logits: Tensor) -> None:
        """Take note of the discriminator's logits of real images, as augmented."""
        number = logits.new_full((), logits.numel())
        self._noted.append(torch.stack([logits.sign().sum(), number]).float())

    @torch.no_grad()
    def after_iteration(self, iteration: int, images: int) -> None:
        """Every ``every`` iterations, move p by what was noted on all ranks.

        ``images``: how many real ones were shown in each iteration, on all ranks together.
        """
        if self.target is None:
            return
        noted = torch.stack(self._noted).sum(dim=0) if self._noted else torch.zeros_like(self.signs)
        self.signs += ranks.sum_over_ranks(noted)
        self._noted.clear()
        if (iteration + 1) % self.every:
            return
        total, number = self.signs
        r = total / number.clamp(min=1)
        direction = (r - self.target).sign() * (number > 0)  # nothing noted: p stays
        step = images * self.every / (1000 * self.speed_kimg)
        self.p.add_(direction * step).clamp_(0, self.highest)
        self.signs.zero_()

    def log(self) -> dict[str, Tensor]:
        """p."""
        return {"p": self.p.detach().clone()}

    def extra_repr(self) -> str:
        """For printing."""
        return f"pipeline={self.pipeline!r}, target={self.target}"

    def _any(self, *groups: str) -> bool:
        wanted = chain(*(GROUPS[group] for group in groups))
        return any(name in self.operations for name in wanted)


def read_pipeline(pipeline: str | Sequence[str]) -> tuple[str, ...]:
    """Operations of a pipeline's name, or of names of groups and operations.

    Several names come in a list, or separated by commas.

    Raises:
        ValueError: for an unknown name.
    """
    known = {name: (name,) for name in OPERATIONS} | GROUPS | PIPELINES
    found: list[str] = []
    parts = pipeline.split(",") if isinstance(pipeline, str) else pipeline
    for part in parts:
        name = part.strip()
        if not name:
            continue
        if name not in known:
            raise ValueError(
                f"pipeline={pipeline!r}: {name!r} is not known; choose from {list(PIPELINES)}, groups "
                f"{list(GROUPS)} or operations {list(OPERATIONS)}{near(name, known)}"
            )
        found += known[name]
    return tuple(found)
