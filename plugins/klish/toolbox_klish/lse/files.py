"""The authors' file of an extractor: {"arch": its arguments, "param": its state dict} (LinearGAN, KLiSH)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from toolbox.features import feature_layers_of
from toolbox.runs.files import write_whole
from toolbox.weights.errors import WeightsError, misfits
from toolbox.weights.reading import read_weights
from toolbox_klish.lse.extractors import LSE


def save_official(extractor: LSE, path: str | Path) -> None:
    """Write the file, whole or not at all; the names of parts and layers beside what the authors keep."""
    arch = dict(
        n_class=len(extractor.part_names),
        dims=list(extractor.channels),
        layers=list(range(len(extractor.layers))),
        lw_type=extractor.weighting,
        use_bias=extractor.bias,
        type="LSE",
        part_names=list(extractor.part_names),
        layer_names=list(extractor.layers),
    )
    tensors = {name: value.detach().cpu() for name, value in extractor.state_dict().items()}
    write_whole(path, lambda file: torch.save(dict(arch=arch, param=tensors), file))


def load_official(path: str | Path, generator: Any, part_names: Any = None) -> LSE:
    """An extractor for a generator, from the authors' file or one of :func:`save_official`.

    Args:
        path: the file.
        generator: whose maps it reads; ``arch.layers`` count its layers.
        part_names: names of its parts; None: those in the file, else 'part 0', 'part 1', ...

    Raises:
        WeightsError: for a file of something else, or for another generator.
    """
    weights = read_weights(path, what="a linear extractor")
    arch = weights.properties.get("arch")
    arch = arch if isinstance(arch, dict) else {}
    if "n_class" not in arch or arch.get("type", "LSE") not in ("LSE", "LinearSemanticExtractor"):
        raise WeightsError(
            f"{path} is no file of a linear extractor: it has no arch.n_class and arch.type 'LSE', but "
            f"{', '.join(sorted(map(str, arch))[:8]) or 'nothing'}"
        )
    names = part_names or arch.get("part_names") or [f"part {k}" for k in range(arch["n_class"])]
    if len(names) != arch["n_class"]:
        raise WeightsError(f"{path} has {arch['n_class']} parts, part_names={list(names)} names {len(names)}")
    layers = _layers(path, arch, generator)
    weighting = arch.get("lw_type") or "none"
    extractor = LSE(
        list(names), generator, layers=layers, weighting=weighting, bias=bool(arch.get("use_bias"))
    )
    tensors = weights.part("param")
    tensors.setdefault("layer_weight", torch.ones(len(layers)))
    wrong = misfits(tensors, extractor.state_dict())
    if wrong:
        raise WeightsError(f"{path} does not fit {type(generator).__name__}: {wrong}")
    extractor.load_state_dict(tensors)
    return extractor.to(next(generator.parameters()).device).requires_grad_(False).eval()


def _layers(path: str | Path, arch: dict[str, Any], generator: Any) -> list[str]:
    """Names of the file's layers, checked by their widths."""
    known = feature_layers_of(generator)
    numbers = list(arch.get("layers") or range(len(arch["dims"])))
    if max(numbers, default=0) >= len(known):
        raise WeightsError(
            f"{path} reads layer {max(numbers)}, {type(generator).__name__} has 0 to {len(known) - 1}"
        )
    found = [known[number] for number in numbers]
    widths = [int(width) for width in arch["dims"]]  # of those layers, or of all
    wanted = widths if len(widths) == len(numbers) else [widths[n] for n in numbers if n < len(widths)]
    if [layer.channels for layer in found] != wanted:
        raise WeightsError(
            f"{path} is for maps of {', '.join(map(str, wanted))} channels, those layers of "
            f"{type(generator).__name__} have {', '.join(str(layer.channels) for layer in found)}"
        )
    return [layer.name for layer in found]
