"""A segmenter of many classes as one of a few: ADE20K's for scenes, restricted to what a generator shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from toolbox.catalog import near_miss
from toolbox.interfaces import Segmenter
from toolbox.models.classifiers import Normalise
from toolbox.models.segmenter import DeepLabV3
from toolbox.registry import build

#: The 150 classes of ADE20K's scene parsing, in the order of its labels 1 to 150.
ADE20K = tuple(
    part.strip()
    for part in """
    wall, building, sky, floor, tree, ceiling, road, bed, windowpane, grass, cabinet, sidewalk,
    person, earth, door, table, mountain, plant, curtain, chair, car, water, painting, sofa, shelf,
    house, sea, mirror, rug, field, armchair, seat, fence, desk, rock, wardrobe, lamp, bathtub,
    railing, cushion, base, box, column, signboard, chest of drawers, counter, sand, sink,
    skyscraper, fireplace, refrigerator, grandstand, path, stairs, runway, case, pool table, pillow,
    screen door, stairway, river, bridge, bookcase, blind, coffee table, toilet, flower, book, hill,
    bench, countertop, stove, palm, kitchen island, computer, swivel chair, boat, bar, arcade
    machine, hovel, bus, towel, light, truck, tower, chandelier, awning, streetlight, booth,
    television receiver, airplane, dirt track, apparel, pole, land, bannister, escalator, ottoman,
    bottle, buffet, poster, stage, van, ship, fountain, conveyer belt, canopy, washer, plaything,
    swimming pool, stool, barrel, basket, waterfall, tent, bag, minibike, cradle, oven, ball, food,
    step, tank, trade name, microwave, pot, animal, bicycle, lake, dishwasher, screen, blanket,
    sculpture, hood, sconce, vase, traffic light, tray, ashcan, fan, pier, crt screen, plate,
    monitor, bulletin board, shower, radiator, glass, clock, flag
    """.replace("\n", " ").split(",")
)


class ADE20KDeepLabV3(DeepLabV3):
    """torchvision's DeepLabV3 (ResNet50) of ADE20K's 150 classes; ``weights=FILE`` in a config fills it.

    Args:
        image_size: see :class:`toolbox.interfaces.Segmenter`; None = any.
        normalisation: that it was trained with; see :class:`toolbox.models.classifiers.Normalise`.
    """

    def __init__(self, image_size: int | None = None, normalisation: str = "imagenet") -> None:
        super().__init__(ADE20K, image_size)
        self.normalise = Normalise(normalisation)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, 150, H, W) of images (N, 3, H, W) in [-1, 1]."""
        return super().forward(self.normalise(images))


class ChosenParts(Segmenter):
    """Some classes of a segmenter, after one of score 0 that stands for all others (KLiSH's for scenes).

    A pixel is 'other' where no chosen class has a score above 0. Which classes KLiSH chose for bedrooms and
    churches is in its code alone, a list for each generator: name yours.

    Args:
        segmenter: of all classes; a config or a network.
        parts: names out of its ``part_names``, in the order wanted.
        other: name of the rest, part 0.

    Raises:
        ValueError: for no parts, or a name that the segmenter does not know.
    """

    def __init__(self, segmenter: Any, parts: Sequence[str] | None = None, other: str = "other") -> None:
        super().__init__()
        self.segmenter: Segmenter = build(segmenter, "segmenter", "ChosenParts.segmenter")
        known = list(self.segmenter.part_names)
        if isinstance(parts, str) or not parts:
            raise ValueError(
                f"parts={parts!r}: name the classes that the images show, a list out of the {len(known)} of "
                f"{type(self.segmenter).__name__}, such as {known[:3]}"
            )
        for part in parts:
            if part not in known:
                raise ValueError(
                    f"parts: {part!r} is none of the {len(known)} classes{near_miss(part, known)}"
                )
        if len(set(parts)) < len(parts) or other in parts:
            raise ValueError(f"parts={list(parts)} with other={other!r} name a part twice")
        self.part_names = [other, *parts]
        self.image_size = self.segmenter.image_size
        self._numbers = [known.index(part) for part in parts]

    def forward(self, images: Tensor) -> Tensor:
        """Scores (N, 1 + parts, H, W), those of part 0 zeros."""
        chosen = self.segmenter(images)[:, self._numbers]
        return torch.cat([torch.zeros_like(chosen[:, :1]), chosen], dim=1)
