"""IPL: zero-shot adaptation of generators by image-specific prompts, with StyleGAN-NADA (Guo et al. 2023)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from toolbox import hookimpl
from toolbox.source_tree import linked_folder

_COMPONENTS = {
    "LatentPrompts": ("prompt_learner", "prompts:LatentPrompts"),
    "SharedPrompts": ("prompt_learner", "prompts:SharedPrompts"),
    "PromptContrast": ("objective", "prompting:PromptContrast"),
    "PromptDomain": ("objective", "prompting:PromptDomain"),
    "DirectionalClip": ("objective", "directional:DirectionalClip"),
    "DiffusionClip": ("objective", "diffusion_clip:DiffusionClip"),
    "GlobalClip": ("objective", "nada:GlobalClip"),
    "ManifoldClip": ("objective", "nada:ManifoldClip"),
    "PatchClip": ("objective", "nada:PatchClip"),
    "AdaptiveLayers": ("choice", "layers:AdaptiveLayers"),
    "StyleLayers": ("choice", "layers:StyleLayers"),
    "DirectionAgreement": ("metric", "metrics.directions:DirectionAgreement"),
    "IdentitySimilarity": ("metric", "metrics.similarity:IdentitySimilarity"),
    "ImageSimilarity": ("metric", "metrics.similarity:ImageSimilarity"),
    "IntraDistance": ("metric", "metrics.distances:IntraDistance"),
    "PairwiseDistance": ("metric", "metrics.distances:PairwiseDistance"),
    "SIFID": ("metric", "metrics.style:SIFID"),
    "StructuralConsistency": ("metric", "metrics.structure:StructuralConsistency"),
    "IRSE50": ("extractor", "networks.irse50:IRSE50"),
    "LPIPS": ("extractor", "networks.lpips:LPIPS"),
}
_CONFIGS = ("ipl_*.py", "nada_*.py", "diffipl_*.py", "diffusionclip_*.py")


@hookimpl
def plugin_info() -> dict[str, object]:
    """Who this plugin is and which API it was written for."""
    return {
        "name": "ipl",
        "title": "IPL",
        "paper": "Zero-shot Generative Model Adaptation via Image-specific Prompt Learning (CVPR 2023)",
        "api_version": 1,
        "summary": "A generator follows two words to another domain, each image in a direction of its own.",
    }


@hookimpl
def register_components(register: Callable[[str, str, str], None]) -> None:
    """Names of the components, by address: nothing is imported until one is built."""
    for name, (kind, address) in _COMPONENTS.items():
        register(kind, name, f"toolbox_ipl.{address}")


@hookimpl
def configs() -> dict[str, Path]:
    """The ready-made configs, ``ipl/<name>``."""
    folder = linked_folder(Path(__file__).parent / "configs")
    return {file.stem: file for pattern in _CONFIGS for file in sorted(folder.glob(pattern))}


@hookimpl
def add_commands(subparsers: object) -> None:
    """``toolbox ipl``."""
    from toolbox_ipl import commands

    commands.add_commands(subparsers)
