"""What can be said of a drawn portrait in a style, in several wordings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SENTENCES = 8  # of each portrait, beside the style's name

# of each style: its name, and what else it is called
STYLE_NAMES = {
    "as drawn": ("drawing", "plain drawing", "flat drawing"),
    "pencil sketch": ("pencil sketch", "pencil drawing", "sketch"),
    "neon": ("neon sign", "neon", "neon light"),
    "watercolour": ("watercolour", "watercolour painting", "watercolor painting"),
    "pixel art": ("pixel art", "pixel art picture", "pixel game character"),
    "comic": ("comic", "comic book picture", "pop art comic"),
    "black and white": ("black and white photo", "black and white picture", "grey photo"),
}
_SAME_COLOURS = ("as drawn", "watercolour", "pixel art", "comic")  # the others have their own, or none
_ONLY_LINES = ("neon",)  # not even dark or light
_PEOPLE = ("person", "person", "face", "portrait", "human")
_COLOURS = {
    "red": (0.80, 0.22, 0.22),
    "orange": (0.85, 0.52, 0.20),
    "yellow": (0.82, 0.78, 0.25),
    "green": (0.30, 0.65, 0.30),
    "turquoise": (0.25, 0.70, 0.70),
    "blue": (0.25, 0.35, 0.78),
    "purple": (0.55, 0.25, 0.65),
    "pink": (0.85, 0.45, 0.65),
    "brown": (0.45, 0.32, 0.20),
    "grey": (0.50, 0.50, 0.50),
    "black": (0.15, 0.15, 0.15),
}


@dataclass(frozen=True)
class Traits:
    """What the numbers of a portrait say of the person.

    Attributes:
        hair_style: 'short hair', 'long hair' or 'hat'.
        hair: name of its colour, such as 'brown'.
        dark: whether the hair is dark, light (False) or neither (None).
        smiles: or is serious.
        clothes, hat: RGB in [0, 1].
    """

    hair_style: str
    hair: str
    dark: bool | None
    smiles: bool
    clothes: NDArray[np.float64]
    hat: NDArray[np.float64]


def captions_of(traits: Traits, style: str, rng: np.random.Generator) -> list[str]:
    """A name of the style, and ``SENTENCES`` about style, person or both."""
    names = STYLE_NAMES[style]
    name = names[int(rng.choice(len(names), p=(0.5, 0.25, 0.25)))]
    return [name, *(_sentence(traits, style, rng) for _ in range(SENTENCES))]


def _sentence(traits: Traits, style: str, rng: np.random.Generator) -> str:
    name = _one(rng, STYLE_NAMES[style])
    said = _attributes(traits, style, rng)
    mouth = "smiling" if traits.smiles else "serious"
    person = _one(rng, _PEOPLE)
    with_them = f" with {_listed(said)}" if said else ""
    forms = (
        f"{_article(name)} {name} of a {mouth} {person}{with_them}",
        f"{_article(name)} {name} of a {person}{with_them}",
        f"a {mouth} {person}{with_them}, {name}",
        ", ".join([name, mouth, *said]),
        f"a {mouth} {person}{with_them}",
        f"a {person}{with_them}",
    )
    return _one(rng, forms)


def _attributes(traits: Traits, style: str, rng: np.random.Generator) -> list[str]:
    """Up to three things that can be seen, in random order: mostly hair or hat."""
    colours = style in _SAME_COLOURS
    said = []
    if rng.random() < 0.9:
        said.append(_on_the_head(traits, style, rng))
    if colours and rng.random() < 0.35:
        said.append(f"{_colour(traits.clothes)} clothes")
    if rng.random() < 0.25:
        said.append("a smile" if traits.smiles else "a straight mouth")
    return [said[k] for k in rng.permutation(len(said))]


def _on_the_head(traits: Traits, style: str, rng: np.random.Generator) -> str:
    if traits.hair_style != "hat":
        return f"{traits.hair_style.split()[0]}{_hair_colour(traits, style, rng)} hair"
    named = style in _SAME_COLOURS and rng.random() < 0.5
    return f"a {_colour(traits.hat)} hat" if named else "a hat"


def _hair_colour(traits: Traits, style: str, rng: np.random.Generator) -> str:
    """' brown', ' dark', or nothing."""
    if style in _ONLY_LINES or rng.random() < 0.3:
        return ""
    if style in _SAME_COLOURS and rng.random() < 0.5:
        return f" {traits.hair}"
    return "" if traits.dark is None else (" dark" if traits.dark else " light")


def _colour(rgb: NDArray[np.float64]) -> str:
    """The nearest name."""
    names = list(_COLOURS)
    distances = ((np.array([_COLOURS[name] for name in names]) - rgb) ** 2).sum(axis=1)
    return names[int(distances.argmin())]


def _listed(things: Sequence[str]) -> str:
    """'one, two and three'."""
    return " and ".join(filter(None, (", ".join(things[:-1]), things[-1])))


def _article(name: str) -> str:
    return "an" if name[0] in "aeiou" else "a"


def _one(rng: np.random.Generator, of: Sequence[str]) -> str:
    return of[int(rng.integers(len(of)))]
