"""Latents of real images, found once, as a source of latents in training."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from toolbox import ranks
from toolbox.data.base import to_tensor
from toolbox.interfaces import Invertible
from toolbox.interfaces.latents import Latents
from toolbox.ranges import check_whole, given
from toolbox.registry import Config, build
from toolbox.runs.files import write_text, write_whole
from toolbox.runs.terminal import tracked
from toolbox.training.game.phases import PlanError
from toolbox.weights.fingerprint import fingerprint

VERSION = 1  # raised whenever the same description gives other latents
_TRIAL = 2  # images, and steps, of a rehearsal


class Inverted(Latents):
    """Latents of the images of a data set, inverted by a frozen generator before the first iteration.

    They are kept in one file, by what they depend on: a later stage, a resumed run and another run of the
    same images and weights find it. A run that is killed while inverting goes on after the last batch; of
    several processes each inverts its share.

    Args:
        images: the data set, ``dict(type=..., ...)``, of the generator's size.
        n: the first n of its images; None = all.
        network: name of the network that inverts, an :class:`toolbox.interfaces.Invertible` that no player
            moves.
        steps: of the inversion; None = the network's own.
        batch_size: images that are inverted together.
        cache_dir: folder of the files.

    Attributes:
        digest: (32,) uint8 of what the latents depend on; zeros until they are there.
    """

    digest: Tensor

    def __init__(
        self,
        images: Config,
        n: int | None = None,
        network: str = "source",
        steps: int | None = None,
        batch_size: int = 8,
        cache_dir: str = "data/inversions",
    ) -> None:
        super().__init__()
        check_whole(1, batch_size=batch_size, **given(n=n, steps=steps))
        self.images, self.n, self.network = images, n, network
        self.steps, self.batch_size, self.cache_dir = steps, batch_size, cache_dir
        self.register_buffer("digest", torch.zeros(32, dtype=torch.uint8))
        self._bank: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        """Number of latents; 0 until they are there."""
        return 0 if self._bank is None else len(self._bank)

    def draw(self, n: int, rng: torch.Generator) -> Tensor:
        """Rows of the bank, uniformly, with repetition."""
        if self._bank is None:
            raise ValueError("no latents are known: prepare the game first")
        rows = torch.randint(len(self._bank), (n,), generator=rng)
        return torch.from_numpy(self._bank[rows.numpy()])

    @torch.no_grad()
    def prepare(self, game: Any, trial: bool = False) -> None:
        """Invert the images, or read what was inverted before.

        Raises:
            PlanError: for a network that is not invertible or moves, images of another size, or latents that
                are not those of the checkpoint.
        """
        network = self._inverter(game)
        source = build(self.images, "dataset", "model.latents.images")
        n = len(source) if self.n is None else self.n
        if n > len(source):
            raise PlanError(f"model.latents.n={n}: the data set has {len(source):,} images")
        try:
            if trial:
                self._bank = self._inverted(network, source, range(min(n, _TRIAL)), _TRIAL)
            else:
                self._load_or_invert(network, source, n)
        except ValueError as error:
            raise PlanError(f"model.latents: {error}") from error

    def _inverter(self, game: Any) -> Any:
        network = game.network(self.network)
        if not isinstance(network, Invertible):
            raise PlanError(
                f"model.latents.network={self.network!r} is a {type(network).__name__}, which cannot invert "
                "images (toolbox.interfaces.Invertible)"
            )
        if game.player_of(self.network) is not None:
            raise PlanError(
                f"model.latents.network={self.network!r} moves, so that a resumed run would find other "
                "latents: name a frozen copy"
            )
        return network

    def _load_or_invert(self, network: Any, source: Any, n: int) -> None:
        description = self._describe(network, source, n)
        found = hashlib.sha256(json.dumps(description, sort_keys=True).encode()).digest()
        now = torch.tensor(list(found), dtype=torch.uint8, device=self.digest.device)
        if self.digest.any() and not torch.equal(self.digest, now):
            raise PlanError(
                "model.latents: the run was begun with latents of other images, weights or steps; a resumed "
                "run needs the same"
            )
        file = Path(self.cache_dir) / f"{found.hex()[:32]}.npy"
        if not ranks.on_main(file.is_file):
            self._make(network, source, n, file, description)
        self._bank = ranks.together(lambda: _read(file, (n, network.latent_dim)))
        self.digest.copy_(now)

    def _describe(self, network: Any, source: Any, n: int) -> dict[str, Any]:
        """All that the latents depend on, but for the machine."""
        return dict(
            version=VERSION,
            network=type(network).__name__,
            weights=fingerprint(network),
            inverts_by=network.inverts_by,
            steps=self.steps or network.inversion_steps,
            images=source.fingerprint(),
            n=n,
            batch_size=self.batch_size,
        )

    def _make(self, network: Any, source: Any, n: int, file: Path, description: Mapping[str, Any]) -> None:
        """Each batch into a file of its own; then all of them into one, and the small ones are gone."""
        parts = file.with_suffix(".parts")
        batches = [range(start, min(start + self.batch_size, n)) for start in range(0, n, self.batch_size)]
        names = [parts / f"{number:06}.npy" for number in range(len(batches))]
        own = [
            (name, rows)
            for number, (name, rows) in enumerate(zip(names, batches, strict=True))
            if ranks.is_mine(number) and not name.is_file()
        ]

        def invert() -> None:
            for name, rows in tracked(own, len(own), f"inverting {n:,} images"):
                latents = self._inverted(network, source, rows, self.steps)
                write_whole(name, lambda out, latents=latents: np.save(out, latents))  # type: ignore[misc]

        def join() -> None:
            whole = np.concatenate([np.load(name, allow_pickle=False) for name in names])
            write_text(json.dumps(description, indent=2) + "\n", file.with_suffix(".json"))
            write_whole(file, lambda out: np.save(out, whole))
            shutil.rmtree(parts)

        ranks.together(invert)
        ranks.on_main(join)

    def _inverted(self, network: Any, source: Any, rows: range, steps: int | None) -> NDArray[np.float32]:
        device = next(network.parameters()).device
        images = torch.stack([to_tensor(source.image(i)) for i in rows]).to(device)
        if device.type == "meta":  # where nothing is computed
            return np.zeros((len(rows), network.latent_dim), np.float32)
        found: NDArray[np.float32] = network.invert(images, steps).float().cpu().numpy()
        return found


def _read(file: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Latents of a file, which stay there until they are asked for.

    Raises:
        ValueError: for a file that is no such thing.
    """
    try:
        bank: NDArray[np.float32] = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read ({error}): delete it, it is made again") from error
    if bank.shape != shape or bank.dtype != np.float32:
        raise ValueError(
            f"{file} holds {bank.dtype}{bank.shape}, not float32{shape}: delete it, it is made again"
        )
    return bank
