"""What of a run is done: ``state.json``, written whole after each arrow.

An arrow is known by the settings that it was begun with. The same command goes on with what is not done;
other settings of an arrow that was begun are refused, but for those that a run may be gone on with (more
iterations). Whatever follows an arrow that was not done is done anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from toolbox.config import ConfigError
from toolbox.runs.changes import Changes, differences, in_words
from toolbox.runs.files import write_text

FILE = "state.json"
ARROWS = ("gan", "clusters", "pairs", "segmenter", "matching", "measures")


class State:
    """The arrows of a folder.

    Args:
        folder: the run's.

    Raises:
        ConfigError: for a file that cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._arrows: dict[str, dict[str, Any]] = {}
        if self.path.is_file():
            self._arrows = _read(self.path)

    def begin(self, name: str, settings: Mapping[str, Any], again: bool = False) -> dict[str, Any] | None:
        """The record of an arrow that is done, or None: it is to be done now, or gone on with.

        Args:
            name: of the arrow.
            settings: plain data that it depends on.
            again: one that was done with other settings is done again.

        Raises:
            ConfigError: when it was begun with other settings.
        """
        own = json.loads(json.dumps(settings))
        known = self._arrows.get(name)
        if known is not None and known["settings"] == own and known["done"] is not None:
            done: dict[str, Any] = known["done"]
            return done
        if known is not None and not again:
            self._refuse(name, dict(differences(known["settings"], own)))
        self._arrows[name] = dict(settings=own, done=None)
        for later in ARROWS[ARROWS.index(name) + 1 :]:
            if later in self._arrows:
                self._arrows[later]["done"] = None  # what they were made of changes
        self._write()
        return None

    def _refuse(self, name: str, changes: Changes) -> None:
        if changes:
            raise ConfigError(
                f"{self.path.parent} was begun otherwise: {name}: {in_words(changes)}. Give the settings it "
                "was begun with, or name another folder with --work-dir"
            )

    def finish(self, name: str, record: Mapping[str, Any]) -> dict[str, Any]:
        """Keep the record of an arrow that is done now."""
        self._arrows[name]["done"] = dict(record)
        self._write()
        return dict(record)

    def done(self, name: str) -> dict[str, Any] | None:
        """The record of an arrow, or None."""
        return (self._arrows.get(name) or {}).get("done")

    def _write(self) -> None:
        write_text(json.dumps(self._arrows, indent=2) + "\n", self.path)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        fits = all({"settings", "done"} == set(arrow) for arrow in found.values())
    except (ValueError, AttributeError, TypeError):
        fits = False
    if not fits:
        raise ConfigError(f"{path} is torn: bring it back, or name another folder with --work-dir")
    return dict(found)
