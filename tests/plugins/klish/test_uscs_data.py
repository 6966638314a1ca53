"""The painter's quick version trains on the pairs that the user names, not on the embedded portraits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.data_readers.test_mask_shards import write
from toolbox.pipeline import read_config
from toolbox.training.run.prepare import prepare


@pytest.mark.parametrize("quick", [False, True])
def test_named_pairs_are_what_is_painted(tmp_path: Path, quick: bool) -> None:
    """Their parts are the generator's, too: nothing of the drawn portraits is left in training."""
    root = write(tmp_path / "pairs", size=(64, 64))
    config = read_config("klish/uscs_embedded", quick, {"evaluation": None}, data=root)
    source = config.train_dataloader.dataset.source
    assert (source.type, source.root) == ("MaskShards", str(root))
    assert "DrawnPortraits" not in str(config.train_dataloader)
    stage = prepare(config)[-1]
    assert stage.data["n"] <= 20 and stage.data["title"] != "Drawn portraits (embedded)"
