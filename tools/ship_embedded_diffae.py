"""Turn a run of configs/diffae_portraits.py into the shipped files: a release in float16, and its card.

    python tools/train.py configs/diffae_portraits.py --work-dir runs/diffae
    python tools/ship_embedded_diffae.py runs/diffae

Without a run it measures the shipped weights again and compares with the card.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent))

import _shipping
from _shipping import half

import toolbox
from toolbox.data.base import to_tensor
from toolbox.data.drawn import DrawnPortraits
from toolbox.loading import export
from toolbox.models.diffae import DiffAE
from toolbox.models.diffae_embedded import WEIGHTS, EmbeddedDiffAE
from toolbox.weights.card import card_path, read_with_card, write_with_card

TOLERANCE = 0.02  # relative, of measuring again on another machine
HELD_OUT = 32  # test portraits that are measured on
LIMITS = (
    "Knows drawn portraits at 32 x 32 pixels. Of random x_T, and of latents of its prior (each number "
    "of z_sem by itself), colours are wrong and some images noisy: there is no diffusion model of z_sem."
)


def main(arguments: Sequence[str] | None = None) -> int:
    config = "configs/diffae_portraits.py"
    shipment = _shipping.Shipment(WEIGHTS, config, ship, lambda: measure(EmbeddedDiffAE().eval()), close)
    return _shipping.main(shipment, __doc__, arguments)


def close(one: float, other: float) -> bool:
    return abs(one - other) <= TOLERANCE * max(abs(one), 0.05)


def ship(run: Path) -> None:
    """Write the run's release in float16, z_sem's mean and deviation taken anew of the averaged encoder."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "release.safetensors"
        export(run, file, licence="weights: Apache-2.0; trained on the toolbox's own drawn portraits")
        tensors, card = read_with_card(file)
        network = toolbox.load_generator(file)
    assert isinstance(network, DiffAE)
    styles = torch.cat([network.encode(images) for images in batches("train", None)])
    statistics = dict(conds_mean=styles.mean(0), conds_std=styles.std(0))
    tensors |= {f"networks.generator.{name}": value for name, value in statistics.items()}
    small = {name: half(value) for name, value in tensors.items()}
    write_with_card(WEIGHTS, small, card | dict(dtype="float16", limits=LIMITS), replace=True)
    for path in (WEIGHTS, card_path(WEIGHTS)):
        path.chmod(0o644)


@torch.no_grad()
def batches(split: str, n: int | None, size: int = 32) -> list[Tensor]:
    """The portraits of a split, or its first n, in batches (N, 3, 32, 32)."""
    data = DrawnPortraits(split, image_size=32, images=n)
    rows = [range(start, min(start + size, len(data))) for start in range(0, len(data), size)]
    return [torch.stack([to_tensor(data.image(i)) for i in some]) for some in rows]


@torch.no_grad()
def measure(network: DiffAE) -> dict[str, float]:
    """Everything the card claims, on the first held-out portraits; errors are root mean squares, per number.

    Colours are numbers in [-1, 1].
    """
    images = torch.cat(batches("test", HELD_OUT))
    rng = torch.Generator().manual_seed(0)
    found: dict[str, float] = {}
    for inversion, steps in ((20, 20), (50, 20), (50, 50)):
        latents = network.invert(images, inversion)
        again = network(latents, steps=steps)
        found[f"error, inverted in {inversion} and rendered in {steps} steps"] = _error(again, images)
    style, x = network.split(latents)
    found["mean of x_T"], found["deviation of x_T"] = float(x.mean()), float(x.std())
    random = network.joined(style, torch.randn(x.shape, generator=rng))
    found["error, z_sem of the image and random x_T, 20 steps"] = _error(network(random, steps=20), images)
    steps = torch.arange(HELD_OUT) * 1000 // HELD_OUT
    noise = torch.randn(images.shape, generator=rng)
    seen = network.noise(network.ddim.noised(images, noise, steps), steps, style)
    found["mean squared error of the noise"] = float((seen - noise).square().mean())
    found["deviation of the images"] = float((images - images.mean(0)).square().mean().sqrt())
    return {name: round(value, 4) for name, value in found.items()}


def _error(one: Tensor, other: Tensor) -> float:
    return float((one - other).square().mean().sqrt())


if __name__ == "__main__":
    sys.exit(main())
