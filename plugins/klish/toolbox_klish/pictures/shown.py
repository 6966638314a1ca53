"""Paths of pictures and reports that a notebook shows for what they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    _Path = Path
else:
    _Path = type(Path())  # before Python 3.12, Path itself makes an instance of another class


class Shown(_Path):
    """A path; as a notebook's value, the PNG or the page that lies there."""

    def _repr_png_(self) -> bytes | None:
        return self.read_bytes() if self.suffix == ".png" and self.is_file() else None

    def _repr_html_(self) -> str | None:
        from toolbox.visual.markup import element

        if self.suffix != ".html" or not self.is_file():
            return None
        page = self.read_text(encoding="utf-8")
        return str(element("iframe", srcdoc=page, width="100%", height="720"))
