"""LCP-GAN: learnable cluster prompts for semi-supervised image synthesis (Zhang et al., CVPR 2023)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from toolbox import hookimpl
from toolbox.source_tree import linked_folder

_COMPONENTS = {
    "SoftKMeans": ("clusterer", "clustering:SoftKMeans"),
    "KMeans": ("clusterer", "clustering:HardKMeans"),
    "EmpiricalCoefficients": ("component", "coefficients:EmpiricalCoefficients"),
    "DirichletCoefficients": ("component", "coefficients:DirichletCoefficients"),
    "SoftmaxNormalCoefficients": ("component", "coefficients:SoftmaxNormalCoefficients"),
    "OneHotCoefficients": ("component", "coefficients:OneHotCoefficients"),
    "UniformCoefficients": ("component", "coefficients:UniformCoefficients"),
    "ClusterConditions": ("conditioner", "conditions:ClusterConditions"),
    "ClusterPrompts": ("prompt_learner", "prompts:ClusterPrompts"),
    "PromptDiscriminator": ("discriminator", "prompt_discriminator:PromptDiscriminator"),
    "PseudoLabelCrossEntropy": ("objective", "pseudo:PseudoLabelCrossEntropy"),
    "LabelCrossEntropy": ("objective", "pseudo:LabelCrossEntropy"),
}


@hookimpl
def plugin_info() -> dict[str, object]:
    """Who this plugin is and which API it was written for."""
    return {
        "name": "lcp",
        "title": "LCP-GAN",
        "paper": (
            "Exploring Intra-class Variation Factors with Learnable Cluster Prompts for Semi-supervised "
            "Image Synthesis (CVPR 2023)"
        ),
        "api_version": 1,
        "summary": "Soft intra-class clusters as generator conditions, supervised by learnable CLIP prompts.",
    }


@hookimpl
def register_components(register: Callable[[str, str, str], None]) -> None:
    """Names of the components, by address: nothing is imported until one is built."""
    for name, (kind, address) in _COMPONENTS.items():
        register(kind, name, f"toolbox_lcp.{address}")


@hookimpl
def configs() -> dict[str, Path]:
    """The ready-made configs, ``lcp/<name>``."""
    folder = linked_folder(Path(__file__).parent / "configs")
    return {file.stem: file for file in sorted(folder.glob("lcp_*.py"))}


@hookimpl
def draw_pictures(sampler: Any, real: Any, folder: Path) -> None:
    """Clusters, interpolations and prompts of a trained LCP game."""
    from toolbox_lcp.pictures import draw

    draw(sampler, real, folder)
