"""Running from a source tree: plugins that lie in a folder, found as if they were installed."""

from __future__ import annotations

import configparser
import sys
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any


class SourceDistribution(metadata.Distribution):
    """What ``importlib.metadata`` needs to know of a distribution, read from its ``setup.cfg``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._config = configparser.ConfigParser()
        self._config.read(folder / "setup.cfg", encoding="utf-8")

    def read_text(self, filename: str) -> str | None:
        """The content of a metadata file; None for those that a source tree does not have."""
        if filename == "METADATA":
            about = self._config["metadata"]
            return f"Metadata-Version: 2.1\nName: {about['name']}\nVersion: {about.get('version', '0')}\n"
        if filename == "entry_points.txt" and self._config.has_section("options.entry_points"):
            groups = self._config["options.entry_points"].items()
            return "".join(f"[{group}]\n{lines.strip()}\n" for group, lines in groups)
        return None

    def locate_file(self, path: Any) -> Path:
        """Where a file of the distribution lies."""
        return self.folder / path


class SourceFinder(metadata.DistributionFinder):
    """Offers source folders to ``importlib.metadata``; installed distributions precede."""

    def __init__(self, folders: Iterable[Path]) -> None:
        self.distributions = [SourceDistribution(folder) for folder in folders]

    def find_spec(self, *args: Any, **kwargs: Any) -> None:
        """Modules are found through ``sys.path``, not here."""

    def find_distributions(self, context: Any = None) -> Iterator[SourceDistribution]:
        """The distributions of the wanted name, or all of them."""
        wanted = getattr(context, "name", None)
        yield from (item for item in self.distributions if wanted is None or _same_name(item.name, wanted))


def use_source_tree(root: Path) -> None:
    """Put a source tree's root and its plugins on the import path, installed or not.

    Args:
        root: folder that holds ``toolbox/`` and ``plugins/``.
    """
    for file in sorted(root.glob("plugins/*/setup.cfg")):
        use_plugin(file.parent)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))


def use_plugin(folder: Path) -> None:
    """Put one plugin's source folder (with its ``setup.cfg``) on the import path, installed or not.

    Call it before plugins are loaded, which happens once a process.
    """
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    finder = next((finder for finder in sys.meta_path if isinstance(finder, SourceFinder)), None)
    if finder is None:
        finder = SourceFinder([])
        sys.meta_path.append(finder)
    if all(distribution.folder != folder for distribution in finder.distributions):
        finder.distributions.append(SourceDistribution(folder))


def linked_folder(path: Path) -> Path:
    """The folder at ``path``, a symbolic link of the source tree; an ordinary folder once installed.

    Where there are no symbolic links (Windows' default, some archives), git leaves a text file that holds the
    link's target in its place: that is followed.
    """
    return path.parent / path.read_text(encoding="utf-8").strip() if path.is_file() else path


def _same_name(one: str, other: str) -> bool:
    return one.lower().replace("-", "_") == other.lower().replace("-", "_")
