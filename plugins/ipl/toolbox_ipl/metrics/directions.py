"""Do images move where the words point, and each in a direction of its own?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.models.clip import Clip
from toolbox.registry import build
from toolbox_ipl.metrics.formulas import mean_cosine
from toolbox_ipl.metrics.rows import PairMetric, mean_and_spread


class DirectionAgreement(PairMetric):
    """mean_i cos(dI_i, dT) of CLIP's directions; [-1, 1], more is nearer to what the words ask for.

    dI_i = N(E_I(b_i)) - N(E_I(a_i)) of pair i, source a and adapted b (N, 3, H, W) in [-1, 1];
    dT = N(E_T(target)) - N(E_T(source)), means over templates, N(x) = x / |x|. An image that did not move at
    all has cosine 0. The CLIP that a generator was trained through flatters it.

    Args:
        clip: a :class:`~toolbox.models.clip.Clip`, its config, or the game's by ``uses=dict(clip='clip')``.
        source, target: the two labels, such as 'photo' and 'sketch'.
        templates: sentences with {} in place of a label.
        n_fake: how many pairs; None: as many as are fed.

    ``compute`` gives the mean (''), the standard deviation over pairs ('std'), and the spread of the images'
    directions, 1 - mean cosine of two of them ('spread'): 0 where all images move alike.

    >>> import torch
    >>> from toolbox.interfaces import Sample
    >>> images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    >>> metric = DirectionAgreement(clip=dict(type="EmbeddedClip"), source="photo", target="sketch")
    >>> metric.update_pairs(Sample(images), Sample(images))
    >>> metric.name, metric.compute()[""]
    ('direction-agreement[toy-clip,photo to sketch,4]', 0.0)
    """

    title = "direction-agreement"
    least = 2
    higher_is_better = True

    def __init__(
        self,
        clip: Clip | Mapping[str, Any],
        source: str,
        target: str,
        templates: Sequence[str] = ("a photo of a {}.",),
        n_fake: int | None = None,
    ) -> None:
        super().__init__(n_fake)
        for name, label in (("source", source), ("target", target)):
            if not isinstance(label, str) or not label.strip():
                raise ValueError(f"{name}={label!r} must be a label, such as 'photo'")
        if source.strip() == target.strip():
            raise ValueError(f"source and target are both {source!r}: there is no direction between them")
        if isinstance(templates, str) or not templates or any("{}" not in text for text in templates):
            raise ValueError(
                f"templates={templates!r} must be a list of sentences, each with {{}} for a label"
            )
        self.clip: Clip = build(clip, "network", "clip")
        self.source, self.target, self.templates = source.strip(), target.strip(), list(templates)

    def protocol(self) -> list[str]:
        model = getattr(self.clip, "short_name", f"clip-{self.clip.architecture}")
        several = [f"{len(self.templates)}templates"] * (len(self.templates) > 1)
        return [model, f"{self.source} to {self.target}", *several]

    def of_pairs(self, source: Tensor, fake: Tensor) -> Tensor:
        """(N, D) directions dI."""
        clip = self.clip.to(source.device).eval()
        first, second = (F.normalize(clip.encode_images(x).double(), dim=1) for x in (source, fake))
        return second - first

    def compute(self) -> dict[str, float]:
        directions = self.checked_values()
        cosines = F.cosine_similarity(torch.from_numpy(directions), self._text_direction[None], dim=1)
        return {**mean_and_spread(cosines.numpy()), "spread": 1 - mean_cosine(directions)}

    def details(self) -> dict[str, Any]:
        """What belongs into the record of a result."""
        return {"n_fake": self.rows.n, "clip": self.clip.fingerprint(), "templates": self.templates}

    @cached_property
    def _text_direction(self) -> Tensor:
        """dT (D,) float64 on the CPU."""
        with torch.no_grad():
            ends = [
                F.normalize(self._encoded([text.format(label) for text in self.templates]).mean(0), dim=0)
                for label in (self.target, self.source)
            ]
        return ends[0] - ends[1]

    def _encoded(self, texts: list[str]) -> Tensor:
        return self.clip.encode_texts(texts, normalize=True).double().cpu()
