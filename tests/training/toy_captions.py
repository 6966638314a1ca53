"""A plugin: squares and discs in three colours, with captions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from toolbox import hookimpl
from toolbox.data.base import ArraySet

COLOURS = {"red": (220, 40, 40), "green": (40, 180, 60), "blue": (50, 80, 220)}
SHAPES = ("square", "disc")
PLACES = ("left", "right")


class ToyCaptions(ArraySet):
    """Each colour, shape and place on white, with three captions; the class is the colour."""

    def __init__(self, image_size: int = 16, repeat: int = 1) -> None:
        told = [(c, s, p) for c in COLOURS for s in SHAPES for p in PLACES] * repeat
        images = np.stack([_drawn(COLOURS[c], s, p) for c, s, p in told])
        captions = [
            [f"a {c} {s}", f"a {c} {s} at the {p} side of a white picture", f"the {s} is {c}"]
            for c, s, p in told
        ]
        labels = [list(COLOURS).index(c) for c, _, _ in told]
        super().__init__(
            images, labels, list(COLOURS), image_size, "Toy captions (embedded)", captions=captions
        )
        self.embedded = True


def _drawn(colour: tuple[int, int, int], shape: str, place: str) -> np.ndarray:
    y, x = np.mgrid[:16, :16] - np.array([8, 5 if place == "left" else 10])[:, None, None]
    inside = (x**2 + y**2 <= 16) if shape == "disc" else (abs(x) <= 3) & (abs(y) <= 3)
    image = np.full((16, 16, 3), 255, dtype=np.uint8)
    image[inside] = colour
    return image


@hookimpl
def register_components(register: Callable[[str, str, str], None]) -> None:
    register("dataset", "ToyCaptions", "toy_captions:ToyCaptions")
