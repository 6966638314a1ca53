"""The training loader: a seeded stream of items, stacked."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from toolbox import ranks
from toolbox.config import ConfigError
from toolbox.data.no_images import NoImages
from toolbox.data.stream import StreamSampler
from toolbox.randomness import mix
from toolbox.registry import build

if TYPE_CHECKING:
    from mmengine import Config
    from torch.utils.data import DataLoader


def build_loader(config: Config, seed: int) -> DataLoader[Any]:
    """The loader of a stage's config, whose keys are checked.

    ``batch_size`` counts the images of an iteration on all processes together; the loader gives this one's
    share. Without a data set it gives rows, for which images are generated.

    Raises:
        BuildError: for a data set or sampler that cannot be built.
        ConfigError: for what torch's loader refuses.
    """
    from mmengine.runner import Runner

    where = "train_dataloader"
    arguments = dict(config.train_dataloader)
    if arguments["dataset"] is None:
        return _of_rows(int(arguments["batch_size"]), seed)
    dataset = build(arguments["dataset"], "dataset", f"{where}.dataset")
    share = int(arguments.pop("batch_size")) // ranks.world()
    sampler = {
        "type": "StreamSampler",
        "batch_size": share,
        "parts": max(int(phase.get("repeat", 1)) for phase in config.model["phases"]),
        **arguments.get("sampler", {}),
        "seed": mix(seed, "data"),
    }
    arguments["dataset"] = dataset
    arguments["sampler"] = build(sampler, "data_sampler", f"{where}.sampler", dataset=dataset)
    if arguments.get("batch_sampler"):
        given = dict(sampler=arguments["sampler"], batch_size=share)
        batches = build(arguments["batch_sampler"], "data_sampler", f"{where}.batch_sampler", **given)
        arguments["batch_sampler"] = batches
    else:
        arguments["batch_size"] = share
    arguments.setdefault("num_workers", 0)
    arguments.setdefault("collate_fn", dict(type="default_collate"))  # mmengine's default gives lists
    try:
        loader: DataLoader[Any] = Runner.build_dataloader(arguments)
    except (ValueError, TypeError) as error:  # torch's
        raise ConfigError(f"{where}: {error}") from error
    if arguments["num_workers"] and "worker_init_fn" not in arguments:
        # mmengine's default seeds generators that no item draws from
        loader.worker_init_fn = leave_signals_to_the_parent
    return loader


def _of_rows(batch_size: int, seed: int) -> DataLoader[Any]:
    from torch.utils.data import DataLoader

    rows, share = NoImages(batch_size), batch_size // ranks.world()
    sampler = StreamSampler(rows, batch_size=share, seed=mix(seed, "data"))
    return DataLoader(rows, batch_size=share, sampler=sampler)


def leave_signals_to_the_parent(worker: int) -> None:
    """A loader's process ignores Ctrl-C, which a terminal sends to it too: its batch is still needed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
