"""Images with captions for contrastive training: several sets in one, a new caption and view a visit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import Formatter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow
from torch import Tensor
from torch.utils.data import Dataset

from toolbox.compat import clip_tokenizer
from toolbox.data.base import DataError, Image, ImageSet, digest, text_list, to_tensor
from toolbox.ranges import check_not_negative, check_seed, check_whole

PLACEHOLDERS = ("name", "class", "keywords", "caption")
MAX_KEYWORDS = 4


@dataclass
class CaptionSource:
    """One image set and how it is talked about.

    Attributes:
        data: the set, or its config.
        templates: sentences with the placeholders ``{name}`` (first caption), ``{keywords}`` (one to four of
            the other captions, in random order), ``{caption}`` (any one of the captions) and ``{class}``
            (class name, lower case). One is drawn at each visit; one that is listed twice comes twice as
            often.
        repeat: how often each image counts in an epoch, to balance sets of different sizes.
        flip: whether mirrored views are as true as the images themselves (letters and flags: no).
    """

    data: ImageSet
    templates: Sequence[str] = field(default_factory=lambda: ["{name}"])
    repeat: int = 1
    flip: bool = False

    def __post_init__(self) -> None:
        from toolbox.registry import build

        self.data = build(self.data, "dataset", "sources.data")
        check_whole(1, repeat=self.repeat)
        self.templates = text_list(self.templates, f"templates of {self.data.title}")
        for template in self.templates:
            self._check(template)
        bare = [i for i, texts in enumerate(self.data.captions or ()) if not texts]
        if bare:
            raise DataError(
                f"{self.data.title}: image {bare[0]} has no caption: give each image at least one"
            )

    def _check(self, template: str) -> None:
        used = {name for _, name, _, _ in Formatter().parse(template) if name is not None}
        unknown = sorted(used - set(PLACEHOLDERS))
        if unknown:
            allowed = ", ".join("{" + name + "}" for name in PLACEHOLDERS)
            raise ValueError(
                f"template {template!r} of {self.data.title} has unknown placeholders {unknown}; "
                f"allowed: {allowed}"
            )
        if self.data.captions is None and used - {"class"}:
            raise DataError(
                f"template {template!r} needs captions, and {self.data.title} has none: use {{class}} only"
            )

    def group(self, i: int) -> int:
        """Number of the concept that image i shows; of its class, where there are no captions."""
        return i if self.data.captions is not None else int(self.data.labels[i])

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return len(self.data) if self.data.captions is not None else len(self.data.classes)

    def caption(self, i: int, rng: np.random.Generator) -> str:
        """One sentence about image i."""
        template = self.templates[int(rng.integers(len(self.templates)))]
        words = {"class": self.data.classes[self.data.labels[i]].lower()}
        if self.data.captions is not None:
            name, *keywords = self.data.captions[i]
            n = min(int(rng.integers(1, MAX_KEYWORDS + 1)), len(keywords))
            words["name"] = name
            chosen = [keywords[k] for k in rng.permutation(len(keywords))[:n]]
            words["keywords"] = ", ".join(chosen) if n else name
            if "{caption}" in template:  # templates without it draw what they always drew
                words["caption"] = _one_of(self.data.captions[i], rng)
        return template.format(**words)


class CaptionedImages(Dataset[dict[str, Any]]):
    """Image sets in a row, each item with a caption (as token ids) and a mildly changed view.

    An item is ``dict(images (3, H, W) in [-1, 1], text (context_length,) int64 token ids, labels, group,
    index int64)``; images of equal ``group`` are positives of each other's captions, ``labels`` count the
    classes of all sets. It is asked for as ``(position, index)`` and is a function of (seed, position,
    index); a plain index gives the unchanged image.

    Args:
        sources: :class:`CaptionSource` or their arguments as dicts. All need the same image size.
        context_length: tokens of a caption; longer ones are cut.
        strength: of the random scaling (15 %), shift (6 %) and rotation (8 degrees); 0 = none.
        seed: of captions and views.

    Raises:
        DataError: sets of different sizes, or templates that ask for captions a set does not have.
        ValueError: unknown placeholders.
    """

    def __init__(
        self,
        sources: Sequence[CaptionSource | Mapping[str, Any]],
        context_length: int = 32,
        strength: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.sources = [
            source if isinstance(source, CaptionSource) else CaptionSource(**source) for source in sources
        ]
        if not self.sources:
            raise ValueError("sources is empty: name at least one image set")
        sizes = {source.data.title: source.data.image_size for source in self.sources}
        if len(set(sizes.values())) > 1:
            raise DataError(f"the sets differ in image_size ({sizes}): set the same image_size for all")
        check_whole(1, context_length=context_length)
        check_not_negative(strength=strength)
        check_seed(seed=seed)
        self.context_length = context_length
        self.strength = strength
        self.seed = seed
        self.image_size = self.sources[0].data.image_size
        self.embedded = any(source.data.embedded for source in self.sources)
        self.title = " + ".join(source.data.title for source in self.sources)
        self.classes = [name for source in self.sources for name in source.data.classes]
        # entries of all sets lie one after the other, each set ``repeat`` times; groups too, once
        self._starts = np.cumsum([0] + [len(source.data) * source.repeat for source in self.sources])
        self._first_class = np.cumsum([0] + [len(source.data.classes) for source in self.sources])
        self._first_group = np.cumsum([0] + [source.groups for source in self.sources])

    def __len__(self) -> int:
        return int(self._starts[-1])

    @property
    def source(self) -> CaptionedImages:
        """Itself: what a run describes as its data."""
        return self

    @property
    def visible_labels(self) -> NDArray[np.int64]:
        """(entries,) group of each entry: every caption is seen."""
        labels = []
        for start, source in zip(self._first_group[:-1], self.sources, strict=True):
            groups = [start + source.group(i) for i in range(len(source.data))]
            labels.append(np.tile(groups, source.repeat))
        return np.concatenate(labels)

    def __getitem__(self, item: int | tuple[int, int]) -> dict[str, Any]:
        position, index = (None, item) if isinstance(item, (int, np.integer)) else item
        which, i = self._locate(int(index))
        source = self.sources[which]
        image = source.data.image(i)
        rng = np.random.default_rng([self.seed, int(position or 0), int(index)])
        if position is not None:
            image = vary(image, rng, self.strength, source.flip)
        return {
            "images": to_tensor(image),
            "text": self.tokenize(source.caption(i, rng)),
            "index": int(index),
            "labels": int(self._first_class[which] + source.data.labels[i]),
            "group": int(self._first_group[which]) + source.group(i),
        }

    def tokenize(self, text: str) -> Tensor:
        """Token ids (context_length,) of one caption."""
        return self._tokenizer([text])[0]

    @property
    def _tokenizer(self) -> Any:
        return clip_tokenizer(self.context_length)

    def _locate(self, index: int) -> tuple[int, int]:
        if not 0 <= index < len(self):
            raise IndexError(f"index {index} is outside of 0 to {len(self) - 1}")
        which = int(np.searchsorted(self._starts, index, side="right")) - 1  # the last start <= index
        return which, (index - int(self._starts[which])) % len(self.sources[which].data)

    def fingerprint(self) -> str:
        """Hex digest of images, templates and views: two that agree on it train alike."""
        parts = [
            (source.data.fingerprint(), list(source.templates), source.repeat, source.flip)
            for source in self.sources
        ]
        return digest(parts, self.context_length, self.strength, self.seed)


def _one_of(texts: Sequence[str], rng: np.random.Generator) -> str:
    return texts[int(rng.integers(len(texts)))]


def vary(image: Image, rng: np.random.Generator, strength: float = 1.0, flip: bool = False) -> Image:
    """A slightly scaled, shifted and rotated view of uint8 (H, W, 3); gaps take the corner's colour."""
    size = image.shape[0]
    scale = 1 + strength * rng.uniform(-0.15, 0.15, size=2)
    shift = strength * rng.uniform(-0.06, 0.06, size=2) * size
    angle = np.deg2rad(strength * rng.uniform(-8, 8))
    mirror = -1.0 if flip and rng.random() < 0.5 else 1.0
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = rotation @ np.diag([scale[0] * mirror, scale[1]])
    centre = np.full(2, size / 2)
    offset = centre + shift - matrix @ centre  # Pillow's map leads from the view to the image
    coefficients = (*matrix[0], offset[0], *matrix[1], offset[1])
    corner = tuple(int(value) for value in image[0, 0])
    picture = Pillow.fromarray(image).transform(
        (size, size), Pillow.Transform.AFFINE, coefficients, Pillow.Resampling.BILINEAR, fillcolor=corner
    )
    return np.array(picture)
