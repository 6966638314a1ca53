"""Where images move and where their texts point: CLIP's directions of a run, as arrows in a plane."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.interfaces import Sample
from toolbox.ranges import check_whole
from toolbox_ipl.directional import DirectionalClip, spread
from toolbox_ipl.losses import directions

IMAGE, TEXT = "#2b6cb0", "#c2410c"
_DPI = 144


@dataclass
class Directions:
    """Unit directions of the same latents.

    Attributes:
        images: dI (N, d_clip), from the source's image to the adapted generator's.
        texts: dT (N, d_clip), or (1, d_clip) of one direction for all.
    """

    images: Tensor
    texts: Tensor

    def values(self) -> dict[str, float]:
        """Mean of cos(dI_i, dT_i); spreads, 1 - the mean cosine of two directions: 0 = all alike."""
        texts = self.texts.expand_as(self.images)
        return {
            "agreement": float(F.cosine_similarity(self.images, texts).mean()),
            "spread of images": float(spread(self.images)),
            "spread of texts": float(spread(self.texts)),
        }

    def plane(self) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 2) and (M, 2): both on the two axes of largest mean square; (2,) those axes' shares of it."""
        joined = torch.cat([self.images, self.texts]).double()
        _, lengths, axes = torch.linalg.svd(joined, full_matrices=False)
        plane = axes[:2] * axes[:2].sum(dim=1, keepdim=True).sign()  # svd leaves the sign open
        shares = lengths[:2].square() / lengths.square().sum()
        return self.images.double() @ plane.T, self.texts.double() @ plane.T, shares


@dataclass
class _Shown:
    """As much of a turn as directions ask for: images that are made once, of a run that is over."""

    game: Any
    fake: Sample
    kept: dict[Any, Any] = field(default_factory=dict)
    player: str = ""

    def network(self, name: str) -> Any:
        return self.game.network(name)

    def moves(self, network: str) -> bool:
        return False

    def once(self, key: Any, compute: Callable[[], Any]) -> Any:
        if key not in self.kept:
            self.kept[key] = compute()
        return self.kept[key]

    frozen = once


@torch.no_grad()
def directions_of(run: str | Path, n: int = 64, seed: int = 0) -> Directions:
    """Directions of a run's averaged generator and its own text directions, of n latents.

    Raises:
        ValueError: for a run without a :class:`DirectionalClip`, or without the source that it names.
    """
    from toolbox.loading import load_sampler

    check_whole(2, n=n)
    adapted = load_sampler(run, seed)
    game: Any = adapted.game
    terms = [term for term in getattr(game, "objectives", {}).values() if isinstance(term, DirectionalClip)]
    if not terms:
        raise ValueError(f"{run} has no objective DirectionalClip: there are no directions to show")
    term, numbers = terms[0], torch.arange(n)
    fake = adapted(numbers)
    source = load_sampler(run, seed, generator=term.source)(numbers)
    clip = game.network(term.clip)
    still, moved = (clip.encode_images(images) for images in (source.images, fake.images))
    texts = term.text_directions(_Shown(game, fake))  # type: ignore[arg-type]
    images = F.normalize(
        directions(still, moved, term.epsilon), dim=1
    )  # epsilon shortens those that hardly moved
    return Directions(images, texts)


def draw_directions(found: Directions, out: str | Path) -> Path:
    """Write the picture: arrows of images and of texts from one point, in the plane of both; its path."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from toolbox.runs.files import write_whole

    images, texts, shares = found.plane()
    figure = Figure(figsize=(5, 5), dpi=_DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for arrows, colour, name in ((images, IMAGE, "images"), (texts, TEXT, "texts")):
        x, y = arrows.T.numpy()
        axes.quiver(
            x * 0, y * 0, x, y, color=colour, angles="xy", scale_units="xy", scale=1, width=0.004, alpha=0.7,
            label=f"{len(arrows)} of {name}",
        )  # fmt: skip
    axes.set(xlim=(-1.05, 1.05), ylim=(-1.05, 1.05), aspect="equal")
    axes.set_xlabel(f"first axis, {shares[0]:.0%} of all")
    axes.set_ylabel(f"second axis, {shares[1]:.0%}")
    words = ", ".join(f"{name} {value:.2f}" for name, value in found.values().items())
    axes.set_title(words, fontsize=9)
    axes.legend(loc="lower left", frameon=False)
    write_whole(out, lambda file: figure.savefig(file, format="png"))
    return Path(out)
