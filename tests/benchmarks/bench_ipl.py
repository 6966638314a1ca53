"""IPL's two stages, through Runner and Game, against the same steps in a bare loop; NADA's in passing.

    make bench ARGS="-k ipl"

On the shipped 64-pixel generator and its toy CLIP, with the batches of the config.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.benchmarks.iterations import runner_iteration
from tests.benchmarks.pairs import measure
from toolbox.registry import build
from toolbox_ipl.prompts import LatentPrompts
from toolbox_ipl.templates import template_features

LABELS = ("drawing", "watercolour")
PREFIX = "a photo of a"
SILENT = {"hooks.evaluation": None, "evaluation": None}


def built(name: str) -> Any:
    """A component without arguments."""
    return build(dict(type=name))


class ByHand:
    """Networks, optimisers and the two loops, as a script would have them: no runner, no game."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.rng = torch.Generator().manual_seed(0)
        self.clip = built("PortraitClip")
        self.source = built("EmbeddedStyleGAN2").eval().requires_grad_(False)
        self.target = built("EmbeddedStyleGAN2").train().requires_grad_(False)
        self.mapper = LatentPrompts(self.clip, LABELS, latent_dim=self.source.style_dim)
        self.average = built("EmbeddedStyleGAN2").eval().requires_grad_(False)
        with torch.no_grad():
            texts = [self.clip.encode_texts(f"{PREFIX} {label}.")[0] for label in LABELS]
            self.residuals = dict(zip(LABELS, texts, strict=True))
            self.meaning = template_features(self.clip, LABELS[1]).mean(dim=0)
            self.label = self.clip.encode_texts(LABELS[1])
        self.candidates = self._layers_of_styles()

    def _layers_of_styles(self) -> dict[int, list[nn.Parameter]]:
        """Parameters of the convolutions that read a style."""
        found: dict[int, list[nn.Parameter]] = {}
        for layer in self.target.style_layers():
            if not layer.colours:
                module = self.target.get_submodule(layer.name)
                found.setdefault(layer.style, []).extend(module.parameters())
        return found

    def images(self, network: Any, w: Tensor) -> Tensor:
        ws = w[:, None].expand(-1, network.n_styles, -1) if w.ndim == 2 else w
        made: Tensor = network.synthesis(ws, network.synthesis.random_noise(len(w), self.rng, ws))
        return made

    def latents(self, n: int) -> Tensor:
        with torch.no_grad():
            w: Tensor = self.source.mapping(torch.randn(n, self.source.latent_dim, generator=self.rng), None)
        return w

    def prompted(self, w: Tensor, label: str) -> Tensor:
        found = self.mapper.encode(self.clip, w, label) + self.residuals[label]
        return F.normalize(found, dim=-1)

    def first_stage(self, n: int = 32) -> Callable[[], None]:
        """A step of the mapper."""
        step = torch.optim.Adam(self.mapper.parameters(), 0.05, fused=True)
        own = torch.arange(n)

        def iteration() -> None:
            w = self.latents(n)
            with torch.no_grad():
                seen = F.normalize(self.clip.encode_images(self.images(self.source, w)), dim=-1)
            logits = self.clip.logit_scale.exp() * seen @ self.prompted(w, LABELS[0]).t()
            contrast = (F.cross_entropy(logits, own) + F.cross_entropy(logits.t(), own)) / 2
            domain = 1 - F.cosine_similarity(self.prompted(w, LABELS[1]), self.meaning[None]).mean()
            step.zero_grad()
            (contrast + domain).backward()
            step.step()

        return iteration

    def second_stage(self, n: int = 2) -> Callable[[], None]:
        """A choice of layers, a step of the generator, its average."""
        parameters = [p for found in self.candidates.values() for p in found]
        rates = dict(lr=0.006, betas=(0.0, 0.99**0.8), fused=True)
        step = torch.optim.Adam(parameters, **rates)  # type: ignore[arg-type]
        pairs = list(zip(self.average.parameters(), self.target.parameters(), strict=True))

        def iteration() -> None:
            self.choose()
            w = self.latents(n)
            moved = F.normalize(self.clip.encode_images(self.images(self.target, w)), dim=-1)
            with torch.no_grad():
                still = F.normalize(self.clip.encode_images(self.images(self.source, w)), dim=-1)
                texts = self.prompted(w, LABELS[1]) - self.prompted(w, LABELS[0])
            loss = (1 - F.cosine_similarity(moved - still, texts)).mean()
            step.zero_grad()
            loss.backward()
            step.step()
            with torch.no_grad():
                torch._foreach_lerp_([a for a, _ in pairs], [b for _, b in pairs], 0.01)

        return iteration

    def choose(self, votes: int = 8) -> None:
        """The two thirds of the styles that one step towards the label moves most."""
        self.target.requires_grad_(False)
        w = self.latents(votes)
        ws = w[:, None].expand(-1, self.target.n_styles, -1).contiguous().requires_grad_()
        seen = self.clip.encode_images(self.images(self.target, ws))
        loss = (1 - F.cosine_similarity(seen, self.label)).mean()
        moved = torch.autograd.grad(loss, ws)[0].abs().mean(dim=(0, 2)).tolist()
        ranked = sorted(self.candidates, key=lambda style: -moved[style])
        for style in ranked[: 2 * self.target.n_styles // 3]:
            for parameter in self.candidates[style]:
                parameter.requires_grad_(True)


@pytest.mark.parametrize(("stage", "times"), [("prompts", 1), ("main", 2)])
def test_ipl_stage(
    stage: str, times: int, benchmark: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """``times`` iterations a pair."""
    first = stage == "prompts"
    options = SILENT | ({} if first else {"before": None})
    through_game = runner_iteration(
        "ipl_portraits.py", tmp_path, quick=False, stage="prompts" if first else None, **options
    )
    bare = ByHand().first_stage() if first else ByHand().second_stage()
    for _ in range(2):
        bare(), through_game()
    what = "first stage, 32 images" if first else "second stage, 2 images, 8 that choose layers"
    title = f"IPL's {what}; the same steps in a bare loop"
    sides = [lambda step=step: [step() for _ in range(times)] for step in (through_game, bare)]
    measure(title, *sides, benchmark, capsys, repeats=8)  # type: ignore[arg-type]
