"""What the test modules of this folder share: toy_games.py on the path, and a tiny run on embedded data."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.opened_once import opened_once
from toolbox.data.embedded import EmbeddedEmoji, EmbeddedFashion

FOLDER = Path(__file__).parent
sys.path.insert(0, str(FOLDER))
import killing  # noqa: E402
import tiny_run  # noqa: E402


@pytest.fixture(scope="package", autouse=True)
def _data_opened_once() -> Iterator[None]:
    """What data sets hold, and what is wrong with them, is tested in tests/data_readers."""
    with opened_once(EmbeddedFashion, EmbeddedEmoji):
        yield


@pytest.fixture(scope="session")
def fork_server() -> Iterator[killing.ForkServer]:
    """Starts training processes within milliseconds."""
    server = killing.ForkServer()
    yield server
    server.close()


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """A config of five iterations on 8-pixel images."""
    return tiny_run.write_config(tmp_path / "tiny.py")


@pytest.fixture
def trained(config_file: Path, tmp_path: Path) -> Callable[..., Path]:
    """Trains the tiny config: ``trained('name', resume=True, options={...})`` gives the run's folder."""
    from toolbox.pipeline import train

    def run(name: str = "run", **arguments: Any) -> Path:
        return train(config_file, work_dir=tmp_path / name, evaluate=False, report=False, **arguments)

    return run
