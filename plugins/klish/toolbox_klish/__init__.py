"""KLiSH: semantic clusters of generator features by linear separability (TPAMI; arXiv 2211.16710)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolbox import hookimpl
from toolbox.source_tree import linked_folder

_COMPONENTS = {
    "KLiSH": ("clusterer", "algorithm.klish:KLiSH"),
    "LloydKMeans": ("clusterer", "baselines:LloydKMeans"),
    "KASP": ("clusterer", "baselines:KASP"),
    "AHC": ("clusterer", "baselines:AHC"),
    "LSE": ("network", "lse.extractors:LSE"),
    "NSE1": ("network", "lse.extractors:NSE1"),
    "NSE2": ("network", "lse.extractors:NSE2"),
    "PascalVOC": ("dataset", "ufgs.voc:PascalVOC"),
    "TapCrossEntropy": ("objective", "lse.objectives:TapCrossEntropy"),
    "TapHinge": ("objective", "lse.objectives:TapHinge"),
    "SpadeGenerator": ("generator", "uscs.generator:SpadeGenerator"),
    "MultiscalePatchDiscriminator": ("discriminator", "uscs.judges:MultiscalePatchDiscriminator"),
    "SpadeEncoder": ("network", "uscs.judges:SpadeEncoder"),
    "VGG19Maps": ("network", "uscs.perceptual:VGG19Maps"),
    "PortraitMaps": ("network", "uscs.perceptual:PortraitMaps"),
    "MultiscaleHinge": ("objective", "uscs.objectives:MultiscaleHinge"),
    "FeatureMatching": ("objective", "uscs.objectives:FeatureMatching"),
    "PerceptualMatching": ("objective", "uscs.objectives:PerceptualMatching"),
    "StyleKL": ("objective", "uscs.objectives:StyleKL"),
}
_CONFIGS = ("klish_*.py", "lse_*.py", "ufgs_*.py", "uscs_*.py")


@hookimpl
def plugin_info() -> dict[str, object]:
    """Who this plugin is and which API it was written for."""
    return {
        "name": "klish",
        "title": "KLiSH",
        "paper": "Extracting Semantic Knowledge from GANs with Unsupervised Learning (TPAMI, arXiv "
        "2211.16710)",
        "api_version": 1,
        "summary": "Clusters of generator features, merged by linear separability; k-means, KASP and AHC "
        "beside it.",
    }


@hookimpl
def register_components(register: Callable[[str, str, str], None]) -> None:
    """Names of the components, by address: nothing is imported until one is built."""
    for name, (kind, address) in _COMPONENTS.items():
        register(kind, name, f"toolbox_klish.{address}")


@hookimpl
def configs() -> dict[str, Path]:
    """The ready-made configs, ``klish/<name>``."""
    folder = linked_folder(Path(__file__).parent / "configs")
    return {file.stem: file for pattern in _CONFIGS for file in sorted(folder.glob(pattern))}


@hookimpl
def config_choices() -> dict[str, dict[str, tuple[str, ...]]]:
    """A generator is named in one of three ways."""
    sources = ("type", "weights", "run")
    return {"klish fit": {"generator": sources}, "klish segment": {"generator": sources}}


@hookimpl
def add_commands(subparsers: Any) -> None:
    """``toolbox klish fit``, and whatever else there is."""
    from toolbox_klish.commands import add_commands as add

    add(subparsers)
