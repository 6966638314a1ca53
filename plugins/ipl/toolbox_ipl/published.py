"""Table 1 of IPL (Guo et al. 2023): ten adaptations by StyleGAN-NADA and by IPL, beside own values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

METRICS = ("IS", "SCS", "ID", "SIFID R1", "SIFID R2", "SIFID R3")
LESS_IS_BETTER = ("SIFID R1", "SIFID R2", "SIFID R3")


@dataclass(frozen=True)
class Row:
    """One adaptation.

    Attributes:
        config: ready-made config of the row, without 'ipl_' or 'nada_'.
        title: source and target.
        nada, ipl: values of ``METRICS``, in order.
        preferred: % of answers that preferred IPL.
    """

    config: str
    title: str
    nada: tuple[float, ...]
    ipl: tuple[float, ...]
    preferred: float

    def lost(self) -> list[str]:
        """Metrics in which IPL is the worse of the two."""
        return [
            name
            for name, nada, ipl in zip(METRICS, self.nada, self.ipl, strict=True)
            if (ipl > nada if name in LESS_IS_BETTER else ipl < nada)
        ]


def _row(config: str, title: str, nada: str, ipl: str, preferred: float) -> Row:
    values = [tuple(float(value) for value in text.split()) for text in (nada, ipl)]
    return Row(config, title, values[0], values[1], preferred)


# fmt: off
ROWS = (
    _row("ffhq_disney", "FFHQ photo to Disney",
         "2.721 .407 .782 2.776 3.136 3.670", "3.089 .448 .801 2.517 2.930 3.497", 82.6),
    _row("ffhq_anime", "FFHQ photo to anime painting",
         "2.450 .324 .666 2.956 1.811 1.242", "3.051 .518 .776 2.845 1.595 1.021", 79.3),
    _row("ffhq_wall", "FFHQ photo to wall painting",
         "2.183 .439 .594 1.944 1.220 1.331", "2.676 .487 .637 1.930 1.183 1.274", 80.9),
    _row("ffhq_ukiyoe", "FFHQ photo to ukiyo-e",
         "2.205 .420 .775 1.954 1.990 1.326", "2.974 .506 .632 1.165 1.255 0.878", 85.9),
    _row("ffhq_pixar", "FFHQ human to Pixar character",
         "2.703 .379 .757 0.793 0.932 0.865", "2.785 .461 .853 0.638 0.821 1.092", 86.7),
    _row("ffhq_elf", "FFHQ human to Tolkien elf",
         "2.479 .416 .711 0.632 1.495 1.452", "2.778 .491 .772 0.690 0.637 0.701", 76.8),
    _row("ffhq_werewolf", "FFHQ human to werewolf",
         "2.619 .399 .642 1.969 1.846 1.967", "2.809 .417 .747 1.734 1.688 1.911", 72.7),
    _row("dog_cartoon", "AFHQ-dog photo to cartoon",
         "6.505 .407 .925 2.708 2.672 3.870", "8.658 .563 .941 2.517 2.477 3.278", 87.6),
    _row("dog_pointillism", "AFHQ-dog photo to pointillism",
         "5.419 .224 .775 7.081 5.288 7.142", "6.913 .542 .881 4.818 3.089 4.074", 78.5),
    _row("dog_cubism", "AFHQ-dog photo to cubism",
         "4.165 .386 .934 2.779 2.938 3.199", "6.450 .463 .943 2.431 2.956 2.284", 74.3),
)
# fmt: on
METHODS = ("nada", "ipl")
NOTES = (
    "* IPL is the worse of the two in these published cells.",
    "Not published: the reference pictures R1 to R3, sizes, the number of images and splits of IS, and the "
    "network of ID for dogs. Own values are of other images, and compare only loosely.",
    "IS, SCS and ID: more is better; SIFID: less. Preferred: % of answers for IPL, 121 raters.",
)


def read_results(path: str | Path) -> dict[str, Any]:
    """Own values: {'ffhq_disney': {'nada': {'SCS': 0.4, ...}, 'ipl': {...}}, ...}, from a JSON file.

    Raises:
        ValueError: for a file that is no such table, naming the row, method or metric that is not known.
    """
    try:
        results = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as JSON ({error})") from None
    check_results(results)
    return dict(results)


def check_results(results: Any) -> None:
    """Raise ValueError for values of a row, method or metric that the table does not have."""
    _check_names("row", results, [row.config for row in ROWS])
    for config, methods in results.items():
        _check_names(f"{config}: method", methods, METHODS)
        for method, values in methods.items():
            _check_names(f"{config}: {method}: metric", values, METRICS)


def published_table(results: Mapping[str, Any] | None = None) -> str:
    """The published rows as a Markdown table, own values (:func:`read_results`) in brackets behind them."""
    check_results(results or {})
    lines = [f"| source to target | method | {' | '.join(METRICS)} | preferred |"]
    lines.append("| --- | --- |" + " ---: |" * (len(METRICS) + 1))
    for row in ROWS:
        for method, values in (("NADA", row.nada), ("IPL", row.ipl)):
            own = ((results or {}).get(row.config) or {}).get(method.lower()) or {}
            lost = row.lost() if method == "IPL" else []
            cells = [
                f"{value:.3f}{'*' * (name in lost)}" + (f" ({own[name]:.3f})" if name in own else "")
                for name, value in zip(METRICS, values, strict=True)
            ]
            last = f"{row.preferred:.1f}" if method == "IPL" else ""
            first = row.title if method == "NADA" else ""
            lines.append(f"| {first} | {method} | {' | '.join(cells)} | {last} |")
    own_values = ["In brackets: own values."] if results else []
    return "\n".join([*lines, "", *(f"{note}  " for note in (*own_values, *NOTES))]).rstrip() + "\n"


def published_json(results: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The same as JSON values: published and own numbers, and the cells in which IPL loses."""
    check_results(results or {})
    rows = []
    for row in ROWS:
        published = {m: dict(zip(METRICS, getattr(row, m), strict=True)) for m in METHODS}
        own = dict((results or {}).get(row.config) or {})
        described = dict(config=row.config, title=row.title, preferred=row.preferred, ipl_loses=row.lost())
        rows.append({**described, "published": published, "own": own})
    return {"rows": rows, "notes": list(NOTES)}


def _check_names(what: str, found: Any, known: Any) -> None:
    from toolbox.catalog import near_miss

    if not isinstance(found, Mapping):
        raise ValueError(f"results: {what}: expected names and values, got {found!r}")
    for name in found:
        if name not in known:
            raise ValueError(
                f"results: {what} {name!r}{near_miss(str(name), known)}; known: {', '.join(known)}"
            )
