"""Text-to-image games on random captions and pictures: what bench_t2i times.

Reduced they have the published widths at 128 pixels (SSA-GAN half of them, GALIP 112 pixels and a smaller
CLIP), so that an iteration takes seconds; ``full`` are the published sizes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from mmengine.optim import OptimWrapperDict
from torch import Tensor

from toolbox.training.game.game import Game
from toolbox.training.game.optimizers import PlayerOptimizers

BATCH, WORDS = 4, 5450
LENGTHS = (18, 16, 13, 11)
RATES = {"attngan": (2e-4, 2e-4), "dmgan": (2e-4, 2e-4), "ssagan": (1e-4, 4e-4), "galip": (1e-4, 4e-4)}
BETAS = {"attngan": (0.5, 0.999), "dmgan": (0.5, 0.999), "ssagan": (0.0, 0.9), "galip": (0.0, 0.9)}
PLAYERS: dict[str, Any] = dict(
    phases=[dict(player="discriminator"), dict(player="generator")],
    players=dict(discriminator=["discriminator"], generator=["generator"]),
    fakes="shared",
    log_every=10,
)
SMALL_CLIP = dict(
    embed_dim=512,
    quick_gelu=True,
    vision_cfg=dict(image_size=224, patch_size=32, layers=12, width=384),
    text_cfg=dict(context_length=77, vocab_size=49408, width=256, heads=4, layers=6),
)


def built(model: str, full: bool) -> tuple[Game, OptimWrapperDict, dict[str, Tensor]]:
    """(the game, its optimisers, a batch)."""
    torch.manual_seed(0)
    game = Game(**MODELS[model](full))
    game.train()
    batch = a_batch(real_sizes(model, full), clip=model == "galip")
    game.conditioner.ids = batch["text"]  # what a training set would have given
    rates = dict(zip(("generator", "discriminator"), RATES[model], strict=True))
    optimizers = {
        player: dict(optimizer=dict(type="Adam", lr=rate, betas=BETAS[model]))
        for player, rate in rates.items()
    }
    return game, PlayerOptimizers(optimizers)(game), batch


def real_sizes(model: str, full: bool) -> tuple[int, ...]:
    """Pixels of the real images."""
    if model in ("attngan", "dmgan"):
        return (64, 128, 256) if full else (32, 64, 128)
    return (256,) if full else (128,)


def a_batch(sizes: tuple[int, ...], clip: bool) -> dict[str, Tensor]:
    """Pictures of some sizes, with a caption each."""
    rng = torch.Generator().manual_seed(0)
    shapes = {f"images{size}": (BATCH, 3, size, size) for size in sizes[:-1]}
    shapes["images"] = (BATCH, 3, sizes[-1], sizes[-1])
    batch = {
        name: torch.randint(256, shape, generator=rng, dtype=torch.uint8) for name, shape in shapes.items()
    }
    text = torch.zeros(BATCH, 77 if clip else LENGTHS[0], dtype=torch.int64)
    for row, length in zip(text, LENGTHS, strict=True):
        row[:length] = torch.randint(1, WORDS, (length,), generator=rng)
        if clip:
            row[0], row[length - 1] = 49406, 49407  # start and end
    return batch | dict(text=text, labels=torch.arange(BATCH), index=torch.arange(BATCH))


def encoders(full: bool) -> dict[str, Any]:
    """DAMSM's, the image encoder at its own size or a smaller one."""
    return dict(
        text_encoder=dict(type="DamsmTextEncoder", n_tokens=WORDS),
        image_encoder=dict(type="DamsmImageEncoder", image_size=299 if full else 139),
    )


def captions(text_encoder: str) -> dict[str, Any]:
    return dict(type="CaptionConditions", uses=dict(text_encoder=text_encoder))


def staged(kind: str, channels: int, widths: int, full: bool) -> dict[str, Any]:
    """AttnGAN's game, and DM-GAN's."""
    sizes = real_sizes(kind.lower(), full)
    judges = {
        f"discriminator{size}": dict(
            type=f"{kind}Discriminator", channels=widths, image_size=size, init="normal"
        )
        for size in sizes
    }
    generator = dict(type=f"{kind}Generator", channels=channels, image_size=sizes[-1], init="normal")
    objectives: dict[str, Any] = {
        f"at {name}": dict(type="MatchingAwareAdversarial", discriminator=name) for name in judges
    }
    objectives |= dict(damsm=dict(type="DamsmMatching", weight=5.0), kl=dict(type="ConditioningKL"))
    return PLAYERS | dict(
        networks=encoders(full) | judges | dict(generator=generator),
        players=dict(discriminator=list(judges), generator=["generator"]),
        objectives=objectives,
        average=dict(generator=dict(decay=0.999, average_buffers=False)),
        conditioner=captions("text_encoder"),
    )


def ssagan(full: bool) -> dict[str, Any]:
    common: dict[str, Any] = dict(channels=64 if full else 32, image_size=256 if full else 128)
    return PLAYERS | dict(
        networks=encoders(full)
        | dict(
            generator=dict(type="SSAGANGenerator", **common),
            discriminator=dict(type="SSAGANDiscriminator", **common),
        ),
        phases=[
            dict(player="discriminator", objectives=["adversarial"]),
            dict(player="discriminator", objectives=["penalty"]),
            dict(player="generator"),
        ],
        objectives=dict(
            adversarial=dict(type="MatchingHinge"),
            penalty=dict(type="MatchingAwarePenalty"),
            damsm=dict(type="DamsmMatching", gamma1=5.0, weight=0.05),
        ),
        conditioner=captions("text_encoder"),
    )


def galip(full: bool) -> dict[str, Any]:
    uses = dict(clip="clip")
    return PLAYERS | dict(
        networks=dict(
            clip=dict(type="Clip", architecture="ViT-B-32-quickgelu" if full else SMALL_CLIP),
            generator=dict(type="GALIPGenerator", image_size=224 if full else 112, uses=uses),
            discriminator=dict(type="GALIPDiscriminator", uses=uses),
        ),
        objectives=dict(
            adversarial=dict(type="MatchingHinge", wrap=True),
            penalty=dict(type="MatchingAwarePenalty"),
            similarity=dict(type="ClipSimilarity", weight=4.0),
        ),
        conditioner=captions("clip"),
    )


MODELS: dict[str, Callable[[bool], dict[str, Any]]] = dict(
    attngan=lambda full: staged("AttnGAN", 32, 64, full),
    dmgan=lambda full: staged("DMGAN", 64, 32, full),
    ssagan=ssagan,
    galip=galip,
)
