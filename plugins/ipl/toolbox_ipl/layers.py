"""Which layers of a style-based generator move: chosen anew in every step (NADA), or by a name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.interfaces import Choice, Choosing
from toolbox.models.style_based import Noise, StyleBasedGenerator, StyleLayer
from toolbox.ranges import check_not_negative, check_positive, check_whole, given
from toolbox_ipl.texts import LabelFeatures, check_one_of

INDEX_MAPS = ("exact", "official")
PHASES = ("default", "texture", "shape", "no_fine", "shape_expanded", "all")
_CONVOLUTIONS = {  # which of the convolutions behind the first
    "texture": slice(2, 10),
    "shape": slice(0, 2),
    "no_fine": slice(0, 10),
    "shape_expanded": slice(0, 3),
    "default": slice(None),
}


class AdaptiveLayers(Choice):
    """The k layers whose styles change most on the way to the target's label; chosen in every step.

        ws' = ws - lr grad_ws [1 - cos(E_I(G_t(ws)), E_T(Y_t))], ``steps`` times, for some random ws
        importance of style j = mean over images and numbers of |ws'_j - ws_j|

    Mapping, constant and colours stand still.

    Args:
        label: Y_t, as it is: no template. None = the target's, of the network ``prompts``.
        layers: k; None = two thirds of the styles: 12 of 18 at 1024 pixels.
        steps: of gradient descent; 0 = all layers are equally important, the first k are taken.
        batch: images that vote.
        lr: of gradient descent on ws.
        index_map: 'exact': a style stands for the convolutions that read it; the last one, which colours
            alone read, is not in the choice. 'official': the authors' map, in which all but the first
            two are one layer off: style j stands for the convolution that reads j - 1, style 1 for the
            first colours.
        clip: network that judges, or {name: weight} of several.
        generator: whose layers.
        prompts: network that knows the labels, where ``label`` is None.
        at_once: of the images that vote, so many are made at a time: less memory, the same choice. None =
            all. At 1024 pixels each takes 3 GB.
    """

    def __init__(
        self,
        label: str | None = None,
        layers: int | None = None,
        steps: int = 1,
        batch: int = 8,
        lr: float = 0.01,
        index_map: str = "exact",
        clip: str | Mapping[str, float] = "clip",
        generator: str = "generator",
        prompts: str = "mapper",
        at_once: int | None = None,
    ) -> None:
        super().__init__()
        if label is not None and not label.strip():
            raise ValueError(f"label={label!r} is empty")
        check_whole(0, steps=steps)
        check_whole(1, batch=batch, **given(layers=layers, at_once=at_once))
        check_positive(lr=lr)
        check_one_of(INDEX_MAPS, index_map=index_map)
        self.label, self.prompts = label, prompts
        self.layers, self.steps, self.batch, self.lr = layers, steps, batch, lr
        self.index_map, self.generator, self.at_once = index_map, generator, at_once
        self.clips: dict[str, float] = {clip: 1.0} if isinstance(clip, str) else dict(clip)
        check_not_negative(**{f"clip[{name}]": weight for name, weight in self.clips.items()})
        chosen = "the two thirds of" if layers is None else f"the {layers}"
        shown = "Y_t" if label is None else f'"{label}"'
        self.formula = f"{chosen} layers that w moves most towards E_T({shown}), by {batch} images"
        self._texts = LabelFeatures()
        self._log: dict[str, Tensor] = {}

    def choose(self, game: Choosing) -> Collection[str]:
        """Names of the layers.

        Raises:
            ValueError: for a generator without styles, and more layers than there are.
        """
        network = style_based(game.network(self.generator), self.generator, type(self).__name__)
        candidates = self._candidates(network)
        wanted = self._wanted(network, len(candidates))
        importance = self._importance(game, network)
        ranked = sorted(candidates, key=lambda style: (-importance[style], style))
        names = [name for style in ranked[:wanted] for name in candidates[style]]
        self._log = {"lowest": torch.tensor(float(min(ranked[:wanted])))}
        return [f"{self.generator}.{name}." for name in names]

    def _candidates(self, network: StyleBasedGenerator) -> dict[int, list[str]]:
        """{style: names of the layers that it stands for}."""
        layers = network.style_layers()
        if self.index_map == "exact":
            found: dict[int, list[str]] = {}
            for layer in layers:
                if not layer.colours:
                    found.setdefault(layer.style, []).append(layer.name)
            return found
        convolutions, colours = _parted(layers)
        shifted = {style: [layer.name] for style, layer in enumerate(convolutions[1:], start=2)}
        first = {1: [colours[0].name]} if colours else {}
        return {0: [convolutions[0].name], **first, **shifted}

    def _wanted(self, network: StyleBasedGenerator, there_are: int) -> int:
        if self.layers is None:
            return min(max(2 * network.n_styles // 3, 1), there_are)
        if self.layers > there_are:
            raise ValueError(
                f"layers={self.layers} is more than the {there_are} of {self.generator!r} that can be chosen"
            )
        return self.layers

    def _importance(self, game: Choosing, network: StyleBasedGenerator) -> list[float]:
        """Of each style."""
        latents, condition = game.draw(self.batch)
        with torch.no_grad():
            start = network.styles(network.style_latent(latents, condition)).contiguous()
        noise = network.noise(start, game.rng, fresh=True)
        ws = start.clone()
        for _ in range(self.steps):
            ws = ws - self.lr * self._gradient(game, network, ws, noise)
        moved: list[float] = (ws - start).abs().mean(dim=(0, 2)).tolist()
        return moved

    def _gradient(self, game: Choosing, network: StyleBasedGenerator, ws: Tensor, noise: Noise) -> Tensor:
        """Of the mean distance, with respect to ws; an image's own is not that of the others."""
        found = []
        for rows in torch.arange(len(ws)).split(self.at_once or len(ws)):
            own = ws[rows].requires_grad_()
            maps = [map[rows] if map is not None and map.ndim == 4 else map for map in noise]
            loss = self._distance(game, network.synthesis(own, maps)) * (len(own) / len(ws))
            found.append(torch.autograd.grad(loss, own)[0])
        return torch.cat(found)

    def _distance(self, game: Choosing, images: Tensor) -> Tensor:
        """sum over CLIPs of weight mean[1 - cos(E_I, E_T(label))]."""
        label = game.network(self.prompts).names[1] if self.label is None else self.label
        total = images.new_zeros(())
        for name, weight in self.clips.items():
            clip: Any = game.network(name)
            text = self._texts.text(clip, label)[None]
            total = total + weight * (1 - F.cosine_similarity(clip.encode_images(images), text)).mean()
        return total

    def log(self) -> dict[str, Tensor]:
        """lowest: the coarsest of the chosen styles."""
        values, self._log = self._log, {}
        return values


class StyleLayers(Choice):
    """A fixed part of a style-based generator, by the names of StyleGAN-NADA's code.

    Args:
        phase: 'default': constant and all convolutions; 'texture', 'shape', 'shape_expanded', 'no_fine':
            constant, first convolution and the behind it from the 2nd to the 9th, the first 2, 3 and 10;
            'all': mapping and colours too.
        generator: whose layers.
    """

    def __init__(self, phase: str = "default", generator: str = "generator") -> None:
        super().__init__()
        check_one_of(PHASES, phase=phase)
        self.phase, self.generator = phase, generator
        self.formula = f"NADA's part {phase!r} of {generator}"

    def choose(self, game: Choosing) -> Collection[str]:
        """Names of the layers.

        Raises:
            ValueError: for a generator without styles.
        """
        network = style_based(game.network(self.generator), self.generator, type(self).__name__)
        if self.phase == "all":
            return [f"{self.generator}."]
        convolutions, _ = _parted(network.style_layers())
        names = [layer.name for layer in convolutions[:1] + convolutions[1:][_CONVOLUTIONS[self.phase]]]
        constant = [name for name, _ in network.named_parameters() if name.endswith(".const")]
        return [f"{self.generator}.{name}" for name in [*constant, *(f"{name}." for name in names)]]


def style_based(network: Any, name: str, asker: str) -> StyleBasedGenerator:
    """The network, if it has styles.

    Raises:
        ValueError: otherwise.
    """
    if not isinstance(network, StyleBasedGenerator):
        raise ValueError(
            f"{asker} chooses among the layers of a style-based generator; {name!r} is a "
            f"{type(network).__name__}: leave moves= out, and name what stands still in freeze_layers"
        )
    return network


def _parted(layers: list[StyleLayer]) -> tuple[list[StyleLayer], list[StyleLayer]]:
    """Convolutions and colours, each in order."""
    return [layer for layer in layers if not layer.colours], [layer for layer in layers if layer.colours]
