"""Progressive growing: resolution, fade-in, batch and learning rate follow the images shown (PGGAN, A.1)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from mmengine.hooks import Hook
from torch.utils.data import Sampler

from toolbox import ranks
from toolbox.catalog import near_miss
from toolbox.interfaces import from_bytes
from toolbox.interfaces.described import Described
from toolbox.models.growing import faded_images
from toolbox.models.style_based import resolutions
from toolbox.ranges import check_not_negative, check_positive, check_whole, numbered
from toolbox.training.game.phases import PlanError
from toolbox.training.hooks.common import game_of

if TYPE_CHECKING:
    from mmengine import Config

    from toolbox.training.game.game import Game

_CURE = "train_dataloader needs batch_sampler=dict(type='GrowingBatches', growth=...)"


@dataclass(frozen=True)
class Growth:
    """When a network grows: each resolution is trained for ``kimg``, the next faded in during ``fade_kimg``.

    Attributes:
        image_size: the last resolution.
        start: the first one; 4 for PGGAN, 8 for StyleGAN.
        kimg, fade_kimg: thousands of real images; 600 and 600 in both papers.
        batch_sizes: images of an iteration (on all processes) at each resolution from ``start`` on; the last
            is repeated. Empty = whatever the loader gives.
        lr_factors: of the optimisers' learning rates, at each resolution from ``start`` on; the last is
            repeated.
    """

    image_size: int
    start: int = 4
    kimg: float = 600.0
    fade_kimg: float = 600.0
    batch_sizes: tuple[int, ...] = ()
    lr_factors: tuple[float, ...] = (1.0,)

    @classmethod
    def read(cls, value: Any, where: str = "growth") -> Growth:
        """From a config's dict, or a Growth.

        Raises:
            PlanError: naming the key and what is allowed.
        """
        if isinstance(value, Growth):
            return value
        if not isinstance(value, Mapping) or "image_size" not in value:
            raise PlanError(
                f"{where}={value!r} must be dict(image_size=..., start=..., kimg=..., fade_kimg=...)"
            )
        known = [field.name for field in fields(cls)]
        for key in value:
            if key not in known:
                raise PlanError(
                    f"{where} has no key {key!r}{near_miss(key, known)}; it has: {', '.join(known)}"
                )
        lists = {key: tuple(value[key]) for key in ("batch_sizes", "lr_factors") if key in value}
        return cls(**{**value, **lists})

    def __post_init__(self) -> None:
        try:
            self._check_numbers()
        except ValueError as error:
            raise PlanError(f"growth: {error}") from None
        sizes = resolutions(self.image_size)
        if self.start not in sizes:
            raise PlanError(
                f"growth: start={self.start} must be one of {sizes}, the resolutions up to image_size"
            )

    def _check_numbers(self) -> None:
        resolutions(self.image_size)  # raises for a size that it cannot have
        check_positive(kimg=self.kimg, **numbered("lr_factors", self.lr_factors))
        check_not_negative(fade_kimg=self.fade_kimg)
        check_whole(1, **numbered("batch_sizes", self.batch_sizes))
        if not self.lr_factors:
            raise ValueError("lr_factors=() must have a factor for each resolution from start on")

    def lod(self, kimg: float) -> float:
        """Doublings missing after so many thousands of images; a fraction during a fade, 0 = fully grown."""
        stage, shown = divmod(kimg, self.kimg + self.fade_kimg)
        faded = max(shown - self.kimg, 0.0) / self.fade_kimg if self.fade_kimg else 0.0
        return max(self._doublings - stage - faded, 0.0)

    def resolution(self, kimg: float) -> int:
        """Pixels of the largest layers in use, those that fade in too."""
        return self.image_size >> math.floor(self.lod(kimg))

    def batch_size(self, kimg: float) -> int | None:
        """Images of an iteration; None = not said."""
        return self._at(self.batch_sizes, kimg) if self.batch_sizes else None

    def lr_factor(self, kimg: float) -> float:
        """Of the optimisers' learning rates."""
        return float(self._at(self.lr_factors, kimg))

    def restarts(self, before: float, now: float) -> bool:
        """Whether optimisers forget their moments between two numbers of images: a fade begins or ends."""
        old, new = self.lod(before), self.lod(now)
        return math.floor(old) != math.floor(new) or math.ceil(old) != math.ceil(new)

    def images_at(self, iteration: int) -> int:
        """Images shown before an iteration, where ``batch_sizes`` says how many each has."""
        shown = 0
        left = iteration
        while left:
            size = self.batch_size(shown / 1000)
            assert size is not None
            steps = left if self.lod(shown / 1000) == 0 else min(left, self._steps_alike(shown, size))
            shown += steps * size
            left -= steps
        return shown

    @property
    def _doublings(self) -> int:
        return int(math.log2(self.image_size // self.start))

    def _steps_alike(self, shown: int, size: int) -> int:
        """Iterations of ``size`` images, at least 1, before the fade that is next begins or ends."""
        whole = self.kimg + self.fade_kimg
        stage, within = divmod(shown / 1000, whole)
        edge = stage * whole + (self.kimg if within <= self.kimg else whole)
        return max(math.floor((edge * 1000 - shown) / size), 1)

    def _at(self, values: Sequence[Any], kimg: float) -> Any:
        level = int(math.log2(self.resolution(kimg) // self.start))
        return values[min(level, len(values) - 1)]


class ProgressiveGrowing(Described, Hook):
    """Before each iteration sets how far networks have grown, and resizes the real images accordingly.

    All is a function of the images shown, which a checkpoint holds: a resumed run goes on exactly, in the
    middle of a fade too. The networks' ``lod`` is in their weights, so that a checkpoint of a half-grown
    network gives its own images.

    Args:
        growth: arguments of :class:`Growth`.
        networks: names of the networks that grow, their averaged copies among them.
        restart: forget the optimisers' moments when a fade begins or ends, as the published code does.

    Raises:
        PlanError: before training, for a network that cannot grow, or of another size.
    """

    priority = "NORMAL"

    def __init__(
        self,
        growth: Mapping[str, Any] | Growth,
        networks: Sequence[str] = ("generator", "discriminator"),
        restart: bool = True,
    ) -> None:
        self.growth = Growth.read(growth, "ProgressiveGrowing: growth")
        self.names = tuple(networks)
        self.restart = restart

    def check_config(self, config: Config) -> None:
        """Refuse networks that the game does not have, and another growth than the loader's.

        Raises:
            PlanError: naming the key.
        """
        networks = (config.get("model") or {}).get("networks") or {}
        for name in self.names:
            if networks.get(name) is None:
                raise PlanError(
                    f"ProgressiveGrowing: networks has {name!r}, which the game has not"
                    f"{near_miss(name, networks)}; it has: {', '.join(networks)}"
                )
            self._check_size(networks[name].get("image_size"), name)
        batches = (config.get("train_dataloader") or {}).get("batch_sampler") or {}
        if "growth" in batches:
            self._check_batches(Growth.read(batches["growth"], "train_dataloader.batch_sampler.growth"))
        elif self.growth.batch_sizes:
            raise PlanError(
                f"ProgressiveGrowing: growth.batch_sizes={list(self.growth.batch_sizes)}, but the loader's "
                f"batches do not grow: {_CURE}"
            )

    def check_game(self, game: Game, config: Config) -> None:
        """Refuse networks that do not grow, or grow to another size.

        Raises:
            PlanError: naming the network.
        """
        for name in self.names:
            self._check(game.network(name), name)

    def before_train(self, runner: Any) -> None:
        """Check that the networks can grow; keep the config's learning rates, to be multiplied."""
        self.check_game(game_of(runner), runner.cfg)
        for _, wrapper in runner.optim_wrapper.items():
            for group in wrapper.optimizer.param_groups:
                # part of the optimiser's state: it survives a resume
                group.setdefault("grown_from_lr", group["lr"])

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """``lod``, learning rates, moments and real images of the iteration."""
        game = game_of(runner)
        lod = self.growth.lod(game.kimg)
        for name in self.names:
            for averaged in (False, True):
                network: Any = game.network(name, averaged)
                network.lod = lod
        self._set_optimizers(runner.optim_wrapper, game, len(data_batch["images"]) * ranks.world())
        for branch in game.branches:
            data_batch[branch] = faded_images(from_bytes(data_batch[branch]), lod)

    def _set_optimizers(self, wrappers: Any, game: Game, batch: int) -> None:
        kimg = game.kimg
        iteration = game.now
        expected = self.growth.batch_size(kimg)
        if expected not in (None, batch):
            raise PlanError(
                f"ProgressiveGrowing: growth.batch_sizes asks for {expected} images at iteration "
                f"{iteration}, the loader gave {batch}: {_CURE}"
            )
        before = kimg - batch / 1000
        if expected and iteration:
            before = self.growth.images_at(iteration - 1) / 1000
        restarts = self.restart and iteration > 0 and self.growth.restarts(before, kimg)
        for _, wrapper in wrappers.items():
            if restarts:
                wrapper.optimizer.state.clear()
            for group in wrapper.optimizer.param_groups:
                group["lr"] = group["grown_from_lr"] * self.growth.lr_factor(kimg)

    def _check(self, network: Any, name: str) -> None:
        if not hasattr(network, "lod"):
            raise PlanError(
                f"ProgressiveGrowing: network {name!r} is a {type(network).__name__}, which does not grow; "
                "PGGAN's and StyleGAN's do. Name those that do in networks=[...]"
            )
        self._check_size(network.image_size, name)

    def _check_size(self, size: Any, name: str) -> None:
        if isinstance(size, int) and size != self.growth.image_size:
            raise PlanError(
                f"ProgressiveGrowing: growth.image_size={self.growth.image_size}, but network {name!r} has "
                f"image_size={size}: make them equal"
            )

    def _check_batches(self, growth: Growth) -> None:
        for key in ("image_size", "start", "kimg", "fade_kimg", "batch_sizes"):
            ours = getattr(self.growth, key)
            theirs = getattr(growth, key)
            if ours != theirs:
                raise PlanError(
                    f"ProgressiveGrowing: growth.{key}={ours}, "
                    f"but train_dataloader.batch_sampler.growth.{key}={theirs}: "
                    "make them equal, the batches follow the resolution"
                )


class GrowingBatches(Sampler[list[tuple[int, int]]]):
    """Batches whose size follows the resolution, for ``train_dataloader.batch_sampler``.

    Batch i is a function of i. Rank r takes the r-th slice of each, so that several processes see what one
    would.

    Args:
        sampler: the :class:`toolbox.data.stream.StreamSampler` of the loader; filled in.
        batch_size: the loader's; the largest that there is.
        growth: arguments of :class:`Growth`, the hook's, with ``batch_sizes``.

    Raises:
        PlanError: for sizes that the processes cannot share, or phases that repeat.
    """

    def __init__(self, sampler: Any, batch_size: int, growth: Mapping[str, Any] | Growth) -> None:
        self.sampler = sampler
        self.batch_size = batch_size
        self.growth = Growth.read(growth, "GrowingBatches: growth")
        self.first = 0
        sizes = self.growth.batch_sizes
        if not sizes or any(size % sampler.world for size in sizes):
            raise PlanError(
                f"GrowingBatches: growth.batch_sizes={list(sizes)} must give a size for each resolution, "
                f"each a multiple of the {sampler.world} processes"
            )
        if max(sizes) != batch_size * sampler.world:
            raise PlanError(
                f"train_dataloader.batch_size={batch_size * sampler.world} must be the largest of "
                f"growth.batch_sizes={list(sizes)}"
            )
        if sampler.parts != 1:
            raise PlanError(
                f"GrowingBatches: a batch is used whole, but the phases repeat {sampler.parts} times; "
                "set repeat=1"
            )

    def check_hooks(self, hooks: Sequence[Hook]) -> None:
        """Refuse a game whose networks do not grow with the batches.

        Raises:
            PlanError: there is no hook ``ProgressiveGrowing``.
        """
        if not any(isinstance(hook, ProgressiveGrowing) for hook in hooks):
            raise PlanError(
                "train_dataloader.batch_sampler: the batches grow (GrowingBatches), and no hook lets the "
                "networks grow: add hooks=dict(growing=dict(type='ProgressiveGrowing', growth=...))"
            )

    def begin_at(self, iteration: int) -> None:
        """The next iteration over it starts with this batch."""
        self.first = iteration

    def __len__(self) -> int:
        """Of the largest batches, those that one epoch holds; they go on after it."""
        return max(len(self.sampler) // (self.batch_size * self.sampler.world), 1)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        shown = self.growth.images_at(self.first)
        while True:
            size = self.growth.batch_size(shown / 1000)
            assert size is not None
            here = size // self.sampler.world
            start = shown + self.sampler.rank * here
            yield [(position, self.sampler.entry(position)) for position in range(start, start + here)]
            shown += size
