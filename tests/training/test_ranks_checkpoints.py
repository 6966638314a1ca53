"""Two processes save, measure and resume as one: rank 0 decides and writes, both take the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_run
from pairs import run_pair

from toolbox import ranks
from toolbox.training.checkpoints import CheckpointError, checkpoint_files, latest_checkpoint

OPTIONS: dict[str, Any] = {
    "hooks.evaluation": dict(type="Evaluation", interval=2),
    "model.networks.generator.bounded": True,
    "model.networks.generator.norm": False,
    "train_dataloader.batch_size": 4,
    "train_cfg.max_iters": 6,
    "hooks.samples": dict(type="SampleGrid", interval=3, columns=2),
    "hooks.checkpoints": dict(type="Checkpoints", interval=2, keep=2, best="fid"),
}


def play(config: str, folder: str, resume: bool) -> list[float]:
    """Train with this rank; the first generator weights it ends with."""
    from toolbox.loading import load_game
    from toolbox.pipeline import train

    evaluation = dict(
        real=dict(type="EmbeddedFashion", split="test", image_size=8),
        n_fake=30,
        metrics=dict(fid=dict(type="FID")),
        extractor=dict(type="PooledPixels"),
        cache_dir=f"{folder}/statistics",
    )
    train(
        config,
        work_dir=folder,
        resume=resume,
        evaluate=False,
        report=False,
        options={**OPTIONS, "evaluation": evaluation},
    )
    return list(load_game(folder).network("generator").linear.weight[0].tolist())


def test_two_processes_write_what_one_writes_and_resume(tmp_path: Path) -> None:
    config, folder = str(tiny_run.write_config(tmp_path / "tiny.py")), tmp_path / "pair"
    first, second = run_pair(play, config, str(folder), False)
    assert first == second
    measured = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in measured] == [2, 4, 6]
    logged = [json.loads(line)["iteration"] for line in (folder / "scalars.jsonl").read_text().splitlines()]
    assert logged == [1, 2, 3, 4, 5, 6]
    assert [path.name for path in checkpoint_files(folder)] == ["iter_4.pth", "iter_6.pth"]
    assert len(list(folder.glob("best_fid_iter_*.pth"))) == 1 and not list(folder.rglob(".*.tmp"))
    before = (folder / "scalars.jsonl").read_text(), [line["value"] for line in measured]
    (folder / "iter_6.pth").write_bytes((folder / "iter_6.pth").read_bytes()[:-50])
    assert run_pair(play, config, str(folder), True) == [first, second]
    measured = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert ((folder / "scalars.jsonl").read_text(), [line["value"] for line in measured]) == before


def look(folder: str) -> str:
    """The checkpoint that rank 0 finds, or what it says; rank 1 looks nowhere."""
    try:
        return str(
            ranks.on_main(lambda: latest_checkpoint(folder) if ranks.is_main() else Path("not rank 0's"))
        )
    except CheckpointError as error:
        return f"refused: {error}"


def test_a_fault_that_the_first_process_finds_reaches_all(tmp_path: Path) -> None:
    (tmp_path / "iter_3.pth").write_text("torn")
    one, other = run_pair(look, str(tmp_path))
    assert one == other and one.startswith("refused: no checkpoint in")


@pytest.mark.parametrize("kind", [OSError, CheckpointError])
def test_an_error_stays_what_it_is_in_one_process(kind: type[Exception]) -> None:
    def fails() -> None:
        raise kind("full")

    with pytest.raises(kind, match="full"):
        ranks.on_main(fails)
