"""The config that a run's folder keeps: as data, and once more for people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolbox.config import ConfigError, kept_file
from toolbox.config.data import DATA_NAME, PYTHON_NAME, read_data, to_json, to_python
from toolbox.runs.files import write_text

_FOR_PEOPLE = f"# For reading. What the toolbox reads of this run is {DATA_NAME}.\n"


def keep_config(config: Any, folder: Path) -> None:
    """Write a resolved config: ``config.json``, which is read again, and ``config.py`` for people.

    Raises:
        ConfigError: for a config that is not plain data.
    """
    data, text = to_json(config.to_dict()), to_python(config)
    write_text(data, folder / DATA_NAME)
    write_text(_FOR_PEOPLE + text, folder / PYTHON_NAME)


def kept_path(folder: Path) -> Path:
    """The file of a run's config, for :func:`toolbox.load_config`.

    Raises:
        ConfigError: for a folder without one.
    """
    path = kept_file(folder)
    if path is None:
        raise ConfigError(f"{folder} has no {DATA_NAME}: is it a run's folder?")
    return path


def kept_config(folder: Path) -> Any:
    """The config that a run's folder keeps, or None. That of an older run is Python, and is executed.

    Raises:
        ConfigError: for one that cannot be read.
    """
    from mmengine import Config

    path = kept_file(folder)
    if path is None:
        return None
    try:
        return Config(read_data(path)) if path.name == DATA_NAME else Config.fromfile(str(path))
    except Exception as error:  # an older one is Python: it may raise anything
        raise ConfigError(
            f"{path}, which says what the run was begun with, cannot be read: {type(error).__name__}: "
            f"{error}. Bring it back, or delete it to go on without the comparison"
        ) from error
