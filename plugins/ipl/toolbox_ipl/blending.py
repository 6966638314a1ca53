"""From a source's weights to an adapted generator's, as a picture."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from toolbox.interfaces import Generator
from toolbox.ranges import check_in, check_whole, numbered


@torch.no_grad()
def blended(source: Generator, adapted: Generator, t: float) -> Generator:
    """A generator of weights (1 - t) source + t adapted; whole numbers are the source's.

    Raises:
        ValueError: for networks of other names or shapes.
    """
    check_in("(-inf, inf)", t=t)
    ours, theirs = source.state_dict(), adapted.state_dict()
    shapes = [{key: value.shape for key, value in state.items()} for state in (ours, theirs)]
    if shapes[0] != shapes[1]:
        differing = sorted(k for k in shapes[0] | shapes[1] if shapes[0].get(k) != shapes[1].get(k))
        raise ValueError(f"source and adapted generator differ in {', '.join(differing[:5])}: no blend")
    made = copy.deepcopy(source)
    made.load_state_dict(
        {k: v.lerp(theirs[k].to(v), t) if v.is_floating_point() else v for k, v in ours.items()}
    )
    return made.eval()


def blend_images(
    source: Generator, adapted: Generator, ts: Sequence[float], rows: int = 4, seed: int = 0
) -> Tensor:
    """(rows * len(ts), 3, H, W): a row for each latent, a column for each t.

    Raises:
        ValueError: for no t, or networks of other shapes.
    """
    check_whole(1, rows=rows, columns=len(ts))
    check_in("(-inf, inf)", **numbered("ts", ts))
    columns = [blended(source, adapted, t).sample(rows, seed).cpu() for t in ts]
    return torch.stack(columns, dim=1).flatten(0, 1)


def draw_blend(
    run: str, out: str | Path, columns: int = 6, rows: int = 4, seed: int = 0, source: str = "source"
) -> Path:
    """Write the picture of a run whose game has both generators; its path.

    Raises:
        ValueError: where the run has no network of the source's name.
    """
    from toolbox.loading import load_game
    from toolbox.visual.grids import save_grid

    check_whole(2, columns=columns)
    game = load_game(run)
    if source not in game.networks:
        known = ", ".join(game.networks)
        raise ValueError(f"{run} has no network {source!r}; it has {known}")
    first, last = game.network(source), game.network(game.generator, averaged=True)
    ts = [column / (columns - 1) for column in range(columns)]
    images = blend_images(first, last, ts, rows, seed)  # type: ignore[arg-type]
    return save_grid(images, out, columns, column_names=[f"t = {t:.2g}" for t in ts])
