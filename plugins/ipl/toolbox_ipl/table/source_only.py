"""What only the source domain can show, and prompts of the target domain should not say: a test of lambda.

The paper's example is a round ear, which a person has and an elf has not. Of drawn portraits it is colour: a
drawing has brown or red hair, a black and white photo has neither. The contrast alone, lambda = 0, makes a
prompt say what its image shows, with either label; L_domain is to take from the target's prompts what the
target's label does not mean.

    a_ic = cos(E_I(G_s(w_i)), E_T("a person with <colour c> hair"));  b_ic = cos(E_T(M^i), the same)
    kept = the slope of b over a, of all i and c, each colour's mean taken off: 0 where prompts say nothing of
    what an image shows, 1 where they say it as the image does; beside it their correlation
    target = mean_i cos(E_T(M_t^i), E_T(Y_t in 79 templates))
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.runs.files import write_text
from toolbox.runs.locking import locked
from toolbox.runs.terminal import say
from toolbox_ipl.table.plan import SOURCE, TARGETS
from toolbox_ipl.table.run import trained
from toolbox_ipl.texts import LabelFeatures

COLOURS = ("red", "orange", "yellow", "brown", "grey", "black")  # of the hair of drawn portraits
LATENTS = 256
_STAGE = "before.prompts.model"


def make_source_only(
    out: Path, weights: Sequence[float], seeds: Sequence[int], target: str, iterations: int
) -> str:
    """Learn prompts with each lambda and seed where that is not done; write ``source_only.md`` and ``.json``.

    Args:
        out: folder; the same call goes on where it stopped.
        weights: of L_domain.
        seeds: of the runs.
        target: one of TARGETS, without colours: 'grey' or 'pencil'.
        iterations: of the prompts.

    Returns:
        The table, as Markdown.
    """
    found: dict[float, list[dict[str, float]]] = {}
    out.mkdir(parents=True, exist_ok=True)
    with locked(out):
        for seed in seeds:
            for weight in weights:
                folder = out / f"lambda{weight:g}" / f"seed{seed}"
                found.setdefault(weight, []).append(_cell(folder, weight, seed, target, iterations))
                write_text(
                    json.dumps({f"{w:g}": runs for w, runs in found.items()}), out / "source_only.json"
                )
    text = _markdown(found)
    write_text(text, out / "source_only.md")
    return text


def _cell(folder: Path, weight: float, seed: int, target: str, iterations: int) -> dict[str, float]:
    made = dict(target=target, iterations=iterations)
    kept = folder / "result.json"
    if kept.is_file() and (known := json.loads(kept.read_text(encoding="utf-8")))["made"] == made:
        return dict(known["values"])
    trained(folder, "ipl/ipl_portraits", _options(weight, seed, target, iterations))
    values = judged(folder, TARGETS[target][0])
    write_text(json.dumps(dict(values=values, made=made)), kept)
    say(f"lambda {weight:g}, seed {seed}: done")
    return values


def _options(weight: float, seed: int, target: str, iterations: int) -> dict[str, Any]:
    """The prompts alone: one step of the generator, nothing measured."""
    labels = [SOURCE, TARGETS[target][0]]
    options: dict[str, Any] = {
        "seed": seed,
        "before.prompts.train_cfg.max_iters": iterations,
        f"{_STAGE}.networks.mapper.names": labels,
        "model.networks.mapper.names": labels,
        "train_cfg.max_iters": 1,
        "evaluation": None,
    }
    key = f"{_STAGE}.objectives.domain"
    return options | ({f"{key}.weight": weight} if weight else {key: None})


@torch.no_grad()
def judged(run: Path, label: str) -> dict[str, float]:
    """``kept`` of the source's and of the target's prompts, and how near the latter are to their label."""
    from toolbox.loading import load_sampler

    source = load_sampler(run, seed=7, generator="source")
    game: Any = source.game
    clip, mapper = game.network("clip"), game.network("mapper")
    sample = source(torch.arange(LATENTS))
    z: Any = sample.latents
    latents = source.generator.style_latent(z, sample.condition)
    colours = F.normalize(clip.encode_texts([f"a person with {c} hair" for c in COLOURS]), dim=1)
    shown = _scores(clip.encode_images(sample.images), colours)
    prompts = [mapper.encode(clip, latents, name) for name in mapper.names]
    meant = F.normalize(LabelFeatures().templates(clip, label).mean(dim=0, keepdim=True), dim=1)
    first, second = (_scores(texts, colours) for texts in prompts)
    near = float((F.normalize(prompts[1], dim=1) @ meant.T).mean())
    return {
        "kept by source": _slope(shown, first),
        "kept by target": _slope(shown, second),
        "correlation": _correlation(shown, second),
        "target": near,
    }


def _scores(features: Tensor, colours: Tensor) -> Tensor:
    """(N, colours) cosines, each colour's mean taken off."""
    scores = F.normalize(features, dim=1) @ colours.T
    return scores - scores.mean(dim=0)


def _slope(first: Tensor, second: Tensor) -> float:
    """Of the second over the first, both of mean 0."""
    return float((first * second).sum() / first.square().sum())


def _correlation(first: Tensor, second: Tensor) -> float:
    return float(F.cosine_similarity(first.flatten(), second.flatten(), dim=0))


def _markdown(found: dict[float, list[dict[str, float]]]) -> str:
    head = ["lambda", "colour kept by the source's prompts", "by the target's", "their correlation"]
    lines = [f"| {' | '.join([*head, 'cosine with its label', 'seeds'])} |", "|" + "---|" * 6]
    keys = ("kept by source", "kept by target", "correlation", "target")
    for weight, runs in found.items():
        cells = [_value([run[key] for run in runs]) for key in keys]
        lines.append(f"| {weight:g} | {' | '.join(cells)} | {len(runs)} |")
    return "\n".join(lines) + "\n"


def _value(values: Sequence[float]) -> str:
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"
