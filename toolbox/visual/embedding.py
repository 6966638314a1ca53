"""Pictures inside an HTML file: PNGs as data, and a film of grids that works without scripts."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from toolbox.data.pictures import open_picture
from toolbox.visual.markup import Markup, element, number
from toolbox.visual.run_folder import Figure
from toolbox.weights.errors import reason

_THUMBNAIL = (200, 160)  # pixels of the strip's little pictures


def picture(figure: Figure, notes: list[str]) -> Markup | None:
    """A figure with its caption; None, and a note, where the file is not a whole PNG."""
    size = _size(figure.path, notes)
    return _figure(figure, size) if size else None


def film(figures: Sequence[Figure], notes: list[str]) -> Markup:
    """The last figure large, and a strip of little pictures to choose the others from."""
    readable = [(figure, size) for figure in figures if (size := _size(figure.path, notes))]
    if not readable:
        return element("p", "None of the sample grids could be read.", class_="faint")
    last = len(readable) - 1
    choices, thumbnails = [], []
    for i, (figure, _) in enumerate(readable):
        when = _when(figure)
        name = f"grid{i}"
        button = element("input", type="radio", name_="grid", id=name, checked=i == last, aria_label=when)
        choices.append(button)
        small = element("img", src=_data_uri(_thumbnail(figure.path)), alt="")
        thumbnails.append(element("label", small, when, for_=name))
    stage = element("div", [_figure(figure, size) for figure, size in readable], class_="stage")
    strip = element("div", thumbnails, class_="strip") if last else None
    return element("div", choices, stage, strip, class_="film")


def film_rules(n: int) -> str:
    """CSS of a film of up to n grids: the chosen radio button shows its grid, so that no script is needed."""
    rules = []
    for i in range(n):
        stage = f"#grid{i}:checked ~ .stage > :nth-child({i + 1})"
        thumb = f"#grid{i}:checked ~ .strip > :nth-child({i + 1})"
        rules += [
            f"{stage} {{ display: block }}",
            f"{thumb} {{ color: var(--ink) }}",
            f"{thumb} img {{ opacity: 1; outline: 2px solid var(--accent); outline-offset: 1px }}",
        ]
    return "\n".join(rules)


def _figure(figure: Figure, size: tuple[int, int]) -> Markup:
    caption = figure.caption or _when(figure)
    width, height = size
    data = _data_uri(figure.path.read_bytes())
    image = element("img", src=data, alt=caption, width=width, height=height)
    return element("figure", image, element("figcaption", caption))


def _when(figure: Figure) -> str:
    return f"iteration {number(figure.iteration)}" if figure.iteration is not None else figure.caption


def _size(path: Path, notes: list[str]) -> tuple[int, int] | None:
    """(width, height) of a PNG that is whole to its last byte, else None and a note."""
    try:
        with open_picture(path, formats=["PNG"]) as image:
            image.load()
            return image.size
    except Exception as error:  # a torn picture raises almost anything
        notes.append(f"{path.parent.name}/{path.name} is not a whole PNG ({reason(error)}); left out.")
        return None


def _thumbnail(path: Path) -> bytes:
    """PNG of the upper right part, right of the rows' names, whose pictures are large enough to be seen."""
    width, height = _THUMBNAIL
    with open_picture(path, formats=["PNG"]) as image:
        side = min(image.width, image.height, 2 * width)
        part = image.convert("RGB").crop((image.width - side, 0, image.width, side * height // width))
    part.thumbnail(_THUMBNAIL, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    part.save(buffer, format="PNG")
    return buffer.getvalue()


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode("ascii")
