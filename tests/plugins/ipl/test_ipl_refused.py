"""What a run refuses before anything is trained, in one line each, and what stops it: a loss of NaN."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.plugins.ipl.tiny_ipl import CLIP, STYLE, write_config
from toolbox.pipeline import train
from toolbox.registry import BuildError
from toolbox.training.checkpoints import CheckpointError
from toolbox.training.game.finite import NotFiniteError

BEFORE, MAIN = "before.prompts.model.", "model."
OTHER_W = dict(STYLE, style_dim=8)
WIDER_CLIP = dict(CLIP, text_cfg=dict(CLIP["text_cfg"], width=32))
NETWORKS = f"{MAIN}networks."
ALONE = {
    "before": None,
    "stages": [],
    f"{NETWORKS}mapper.weights": None,
}  # the second stage, untrained prompts


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_config(tmp_path_factory.mktemp("config"))


@pytest.fixture
def begun(config: Path, tmp_path: Path) -> Callable[[dict[str, Any]], Path]:
    """Trains with these overrides, in ``tmp_path / 'run'``."""
    return lambda options: train(config, work_dir=tmp_path / "run", report=False, options=options)


def style(**changes: Any) -> dict[str, Any]:
    return dict(_delete_=True, type="StyleGAN2Generator", **OTHER_W, **changes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {
                f"{NETWORKS}wider": dict(type="Clip", architecture=WIDER_CLIP),
                f"{MAIN}objectives.direction.clip": "wider",
            },
            r"token width 16 and 32\): each CLIP needs prompts of its own",
        ),
        (
            {
                f"{NETWORKS}second": dict(type="Clip", architecture=CLIP),
                f"{MAIN}objectives.second": dict(type="DirectionalClip", clip="second"),
            },
            "each CLIP needs prompts of its own",
        ),
        ({f"{MAIN}phases.0.moves.layers": 9}, "layers=9 is more than the 5 of 'generator'"),
        (
            {f"{MAIN}objectives.patch": dict(type="PatchClip", labels=["photo", "disney"], patch=17)},
            "patch=17 is larger than the images of 'generator', 16 pixels",
        ),
        (
            {f"{NETWORKS}source": style(), f"{NETWORKS}generator": style(freeze_layers=["mapping."])},
            "'mapper' maps latents of 6 numbers, and the W of 'source' has 8: train prompts with this",
        ),
        (
            {
                "evaluation": dict(
                    source="source",
                    n_fake=4,
                    batch_size=2,
                    metrics=dict(fid=dict(type="FID", extractor=dict(type="PooledPixels"))),
                )
            },
            "says nothing of evaluation.real, and fid would compare with it",
        ),
    ],
    ids=[
        "another width",
        "two CLIPs, one mapper",
        "too many layers",
        "a large patch",
        "another W",
        "real images",
    ],
)
def test_before_the_second_stage(
    begun: Callable[[dict[str, Any]], Path], tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message) as found:
        begun(ALONE | options)
    assert "\n" not in str(found.value) and not (tmp_path / "run" / "scalars.jsonl").exists()


def test_before_the_first_stage(begun: Callable[[dict[str, Any]], Path]) -> None:
    """A source of another W, one label, and prompts for a CLIP of another width than the second stage's."""
    with pytest.raises(ValueError, match=r"before\.prompts: .* the W of 'source' has 8: train prompts"):
        begun({f"{BEFORE}networks.source": style()})
    with pytest.raises(BuildError, match=r"before\.prompts: .*labels of two domains are equal"):
        begun({f"{BEFORE}networks.mapper.names": ["photo", "photo"]})
    with pytest.raises(
        CheckpointError, match=r"'mapper' \(stage 'prompts'\) does not fit .*layers\.3\.weight"
    ):
        begun({f"{NETWORKS}clip": dict(_delete_=True, type="Clip", architecture=WIDER_CLIP)})


def test_a_clip_that_is_trained(begun: Callable[[dict[str, Any]], Path]) -> None:
    """It would leave behind what texts are encoded to, once a run."""
    for options in (
        {f"{BEFORE}networks.clip.frozen": False, f"{BEFORE}players": dict(mapper=["mapper", "clip"])},
        ALONE | {f"{NETWORKS}clip.frozen": False, f"{MAIN}players": dict(generator=["generator", "clip"])},
    ):
        with pytest.raises(
            ValueError, match=r"'clip' is trained by the player '(mapper|generator)'.* stands still"
        ):
            begun(options)


@pytest.mark.parametrize(
    ("options", "where", "who"),
    [
        ({"before.prompts.optim_wrapper.mapper.optimizer.lr": 1e38}, "stages/prompts", "mapper"),
        (ALONE | {"optim_wrapper.generator.optimizer.lr": 1e38}, ".", "generator"),
    ],
)
def test_a_loss_that_is_not_finite(
    begun: Callable[[dict[str, Any]], Path], tmp_path: Path, options: dict[str, Any], where: str, who: str
) -> None:
    """It names player and term, and no checkpoint is written from it."""
    of = "contrast" if who == "mapper" else "direction"
    with pytest.raises(
        NotFiniteError, match=rf"iteration 1, player '{who}': .* comes from {of} \(of {who}\)"
    ):
        begun(options)
    for file in (tmp_path / "run" / where).glob("*.pth"):
        state = torch.load(file, weights_only=True)["state_dict"]
        assert all(bool(value.isfinite().all()) for value in state.values() if value.is_floating_point()), (
            file
        )
