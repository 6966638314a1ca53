"""``toolbox convert FILE -o OUT.safetensors``: weights from outside, read without running what they hold."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import toolbox
from toolbox.runs.terminal import show


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be said on the command line."""
    parser.add_argument(
        "file", help="safetensors, a file of torch.save, a TorchScript archive, or an NVIDIA network pickle"
    )
    parser.add_argument(
        "-o", "--out", metavar="OUT.safetensors", help="what to write; a card (OUT.json) comes beside it"
    )
    parser.add_argument(
        "--network", metavar="NAME", help="only the tensors below NAME (such as G_ema), named without it"
    )
    parser.add_argument(
        "--layout",
        metavar="LAYOUT",
        help="rename to the names of our PGGAN, StyleGAN, StyleGAN2, AttnGAN, DM-GAN, SSA-GAN, GALIP, DAMSM "
        "and DiffAE: 'auto', or the layout that it is in (klish-stylegan2, rosinality-stylegan2, attngan, "
        "galip, damsm-text, diffae, ...)",
    )
    parser.add_argument("--list", action="store_true", help="print what the file holds, and write nothing")
    parser.add_argument("--licence", default="", help="of the weights, for the card")
    parser.add_argument("--force", action="store_true", help="write over files that are there")


def run(arguments: argparse.Namespace) -> int:
    """Convert, and print the path; or list."""
    from toolbox.models.from_files import translated
    from toolbox.weights.card import file_sha256, write_with_card
    from toolbox.weights.errors import WeightsError
    from toolbox.weights.reading import read_weights

    if not arguments.list and not arguments.out:
        raise WeightsError("say where to write with -o OUT.safetensors, or look into the file with --list")
    weights = read_weights(arguments.file)
    tensors = weights.part(arguments.network) if arguments.network else weights.tensors
    facts = _facts_of(weights.properties, arguments.network)
    if arguments.list:
        show(listing(weights.format, tensors, facts))
        return 0
    network = None
    if arguments.layout:
        tensors = tensors if arguments.network else weights.state_dict()
        tensors, network = translated(tensors, arguments.layout, weights.tensors.get("latent_avg"), facts)
    source = dict(
        file=Path(arguments.file).name,
        format=weights.format,
        network=arguments.network or "",
        sha256=file_sha256(arguments.file),
    )
    card = dict(
        kind="converted",
        source=source,
        facts=facts,
        licence=arguments.licence or "not stated: the source's own applies",
        created_with=dict(toolbox=toolbox.__version__),
    )
    if network is not None:
        card["network"] = network
    metadata = {f"source_{key}": value for key, value in source.items()}
    metadata["facts"] = json.dumps(facts)
    show(write_with_card(arguments.out, tensors, card, metadata=metadata, replace=arguments.force))
    return 0


def listing(kind: str, tensors: Mapping[str, Any], facts: Mapping[str, Any]) -> str:
    """Format, facts, and a line for each tensor."""
    numbers = sum(tensor.numel() for tensor in tensors.values())
    width = max(map(len, tensors))
    lines = [
        f"{_printable(name):<{width}}  {str(tensor.dtype).removeprefix('torch.'):<8} {tuple(tensor.shape)}"
        for name, tensor in tensors.items()
    ]
    told = json.dumps(facts, indent=2, ensure_ascii=True) if facts else "none"
    head = [f"format: {kind}", f"facts: {told}", f"{len(tensors)} tensors, {numbers:,} numbers"]
    return "\n".join([*head, *lines])


def _facts_of(facts: dict[str, Any], network: str | None) -> dict[str, Any]:
    """What is said of one network alone, where the file says it."""
    own = facts.get(network) if network else None
    return own if isinstance(own, dict) else facts


def _printable(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name)  # a name must not steer the terminal
