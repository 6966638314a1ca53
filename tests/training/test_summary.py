"""``--dry-run`` and ``explain``: everything is said, nothing is written, and the memory is about right."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from toolbox.cli.main import main
from toolbox.config import ConfigError, load_config
from toolbox.training.explain import memory
from toolbox.training.explain.iteration import explain
from toolbox.training.explain.summary import summary
from toolbox.training.game.optimizers import PlayerOptimizers
from toolbox.training.run.prepare import prepare
from toolbox.training.run.trial import few, play_first

CONFIGS = Path(__file__).parents[2] / "configs"


def test_a_dry_run_says_everything_and_writes_nothing(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main(["train", str(config_file), "--dry-run"]) == 0
    said = capsys.readouterr().out
    for part in (
        "Fashion-MNIST (embedded): 8,000 images, 8,000 labelled, 10 classes",
        "parameters, ",
        "averaged",
        "player generator: Adam(lr=0.001, betas=(0, 0.99)) moves generator",
        "checkpoints (Checkpoints every 3)",
        "memory: weights ",
        "passes about ",
        "(estimated)",
        "evaluation: none",
        "2 times: move [discriminator]",
        "1 * adversarial (HingeAdversarial)",
        "conditions: ClassConditions",
        "DiffAugment",
        "average of generator",
    ):
        assert part in said, part
    assert ", 0 of them move" not in said  # the trial iteration ends with the turn of one player
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dry_run_refuses_what_training_would_refuse(config_file: Path) -> None:
    with pytest.raises(ConfigError, match="batch_size=9 must be a multiple of 2"):
        summary(load_config(config_file, options={"train_dataloader.batch_size": 9}))
    with pytest.raises(ConfigError, match="needs measurements during training"):
        summary(load_config(config_file, options={"hooks.checkpoints.best": "fid"}))


def test_evaluation_is_summed_up(config_file: Path) -> None:
    text = summary(
        load_config(
            config_file,
            options={
                "evaluation": dict(
                    real=dict(type="EmbeddedFashion", split="test", image_size=8),
                    n_fake=99,
                    extractor=dict(type="PooledPixels"),
                    metrics=dict(fid=dict(type="FID"), gone=None),
                )
            },
        ),
        memory=False,
    )
    assert (
        "evaluation: fid (FID); 99 generated images against Fashion-MNIST (embedded) (2,000 images)" in text
    )


def test_explain_shows_what_is_not_plain(config_file: Path) -> None:
    text = explain(
        load_config(
            config_file,
            options={
                "model.fakes": "shared",
                "model.branches": ["images", "strong"],
                "stages": ["s"],
                "model.phases": [
                    dict(player="discriminator", repeat=2, accumulate=2),
                    dict(player="generator", precision="bf16"),
                ],
                "before": dict(s=dict(model=load_config(config_file).model.to_dict())),
                "model.networks.spare": dict(
                    type="ToyBorrower",
                    uses=dict(other="generator"),
                    weights=dict(stage="s", network="generator"),
                ),
                "model.networks.generator.freeze_layers": ["linear"],
            },
        )
    )
    for part in (
        "all steps of an iteration see the same generated batch",
        "every term is computed on each of images, strong and summed",
        "2 splits one after the other, minimise",
        ", in bf16, minimise",
        "generator (ToyGenerator) linear do not move",
        "spare (ToyBorrower) does not move, starts from generator of stage s, borrows generator",
    ):
        assert part in text, f"{part}\n{text}"


# -- memory --------------------------------------------------------------------------------------------------


def made(name: str) -> tuple[Any, Any, Callable[[], Any]]:
    """(config, stream, maker of games) of a shipped config's quick version."""
    stage = prepare(load_config(CONFIGS / f"{name}.py", quick=True))[-1]
    return stage.config, stage.loader.dataset, lambda: stage.build_game(filled_later=True)


def allocated(work: Callable[[], Any]) -> int:
    """Peak of what torch's allocator gave out meanwhile, as its profiler saw it."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        work()
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]  # type: ignore[union-attr]
    alive = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        alive += event.nbytes()
        peak = max(peak, alive)
    return peak


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("biggan_cifar", 1.1),
        ("lcp_cifar", 1.1),
        ("clip_embedded", 2.0),
    ],
)
def test_the_estimate_is_near_what_the_allocator_gives_out(name: str, factor: float) -> None:
    """GANs within 10 %; a transformer, whose weights' copies hide in small batches, within a factor of 2."""
    own, stream, make = made(name)
    batch = own.train_dataloader.batch_size
    found = memory.estimate(make(), own.optim_wrapper, stream, batch)
    game = make()
    wrappers, small = PlayerOptimizers(dict(own.optim_wrapper))(game), few(stream)
    game.train()
    logging.disable(logging.INFO)
    game.prepare(small)
    logging.disable(logging.NOTSET)
    play_first(game, wrappers, small, batch)
    measured = allocated(lambda: play_first(game, wrappers, small, batch))
    assert 1 / factor < (found.passes + found.gradients) / measured < factor


def test_weights_and_states_are_counted_exactly() -> None:
    own, stream, make = made("biggan_cifar")
    game = make()
    found = memory.estimate(make(), own.optim_wrapper, stream, 64)
    moving = sum(p.numel() for p in game.networks.parameters())
    buffers = sum(b.numel() * b.element_size() for b in game.networks.buffers())
    assert found.weights == 4 * moving + buffers and found.conditioner == 8 * len(stream)
    assert found.gradients == 4 * max(
        sum(p.numel() for p in game.networks[name].parameters()) for name in game.networks
    )
    assert (
        0 <= found.optimizers - 2 * 4 * moving <= 4 * len(list(game.networks.parameters()))
    )  # Adam: two averages, a counter


def test_an_option_that_is_a_call_is_one_line(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """mmengine's reader recurses without end on it."""
    assert main(["train", str(config_file), "--dry-run", "--cfg-options", "evaluation=dict(a=1,b=2)"]) == 1
    said = capsys.readouterr().err
    assert "error: --cfg-options: 'dict(a=1,b=2)' cannot be read: write a dict as" in said


def test_what_lives_at_once_counts_not_what_was_made() -> None:
    def work() -> None:
        for _ in range(5):
            torch.zeros(1000).add(1)

    assert memory.peak_of(work) == 8000
