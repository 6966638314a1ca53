"""The study's page: one HTML file with its pictures, which names no method, and the key that does."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from toolbox.data.pictures import encode_png
from toolbox.ranges import check_seed, check_whole
from toolbox.runs.files import write_whole
from toolbox.visual.markup import Markup, element
from toolbox_ipl.study.sources import Pictures

QUESTION = "Which picture do you prefer?"


@dataclass(frozen=True)
class Study:
    """A page and its key.

    Attributes:
        html: the page; it says of no picture which method made it.
        key: which method each picture is of, for :func:`toolbox_ipl.study.votes.read_answers`.
    """

    html: str
    key: dict[str, Any]

    def write(self, path: str | Path) -> tuple[Path, Path]:
        """PAGE.html and, beside it, PAGE.key.json, which raters must not see; the paths."""
        page = Path(path)
        key = page.with_suffix(".key.json")
        write_whole(page, lambda file: file.write(self.html.encode()))
        write_whole(key, lambda file: file.write(json.dumps(self.key, indent=1).encode()))
        return page, key


def make_study(
    methods: Sequence[str],
    first: Pictures,
    second: Pictures,
    question: str = QUESTION,
    checks: int = 2,
    seed: int = 0,
) -> Study:
    """Blinded pairs: each rater sees them in an order of her own, left and right by chance.

    The order is a function of the seed and the rater's name. An attention check shows a picture beside the
    same one with its pixels in disorder; who prefers the disorder was not looking.

    Args:
        methods: names of the two.
        first, second: uint8 (N, H, W, 3), row by row of the same latents.
        question: what raters are asked.
        checks: attention checks.
        seed: of all that is by chance.

    Raises:
        ValueError: for equal names, or other shapes.
    """
    check_whole(0, checks=checks)
    check_seed(seed=seed)
    if len(methods) != 2 or methods[0] == methods[1] or {"right", "wrong"} & set(methods):
        raise ValueError(f"methods={list(methods)} must be two different names, neither 'right' nor 'wrong'")
    if first.shape != second.shape or first.ndim != 4 or not len(first):
        raise ValueError(
            f"pictures are {first.shape} and {second.shape}: expected (N, H, W, 3), the same twice"
        )
    rng = np.random.default_rng(seed)
    shown = [(first[i], second[i], methods[0], methods[1]) for i in range(len(first))]
    for i in rng.integers(len(first), size=checks):
        shown.append((first[i], _in_disorder(first[i], rng), "right", "wrong"))
    questions, key = [], {}
    for place, row in enumerate(rng.permutation(len(shown))):
        a, b, name_a, name_b = shown[row]
        if rng.random() < 0.5:
            a, b, name_a, name_b = b, a, name_b, name_a
        number = str(place + 1)
        key[number] = {"x": name_a, "y": name_b}
        questions.append({"question": number, "x": _png(a), "y": _png(b)})
    study = hashlib.sha256(json.dumps([questions, seed]).encode()).hexdigest()[:12]
    content = {"study": study, "seed": seed, "text": question, "questions": questions}
    return Study(_html(content), {"study": study, "seed": seed, "methods": list(methods), "questions": key})


def _in_disorder(picture: Pictures, rng: np.random.Generator) -> Pictures:
    height, width, channels = picture.shape
    return rng.permutation(picture.reshape(-1, channels)).reshape(height, width, channels)


def _png(picture: Pictures) -> str:
    return "data:image/png;base64," + base64.b64encode(encode_png(picture)).decode("ascii")


def _html(content: dict[str, Any]) -> str:
    folder = files("toolbox_ipl.study")
    script = folder.joinpath("study.js").read_text(encoding="utf-8")
    style = folder.joinpath("study.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    policy = f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    data = json.dumps(content).replace("<", "\\u003c")  # no text can end the element
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name_="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=policy),
        element("title", "Pairs of pictures"),
        element("style", Markup(style)),
    )
    body = element(
        "body",
        element("main", id="page"),
        element("script", Markup(data), type="application/json", id="content"),
        element("script", Markup(script)),
    )
    return "<!DOCTYPE html>\n" + element("html", head, body, lang="en") + "\n"
