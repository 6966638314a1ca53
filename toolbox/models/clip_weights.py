"""Which CLIP to build and where its weights come from: open_clip's names, configurations and tags, files."""

from __future__ import annotations

import copy
import difflib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from toolbox.compat import import_torchvision, reachable
from toolbox.weights.reading import read_weights

#: Entries that only OpenAI's own files carry.
_OPENAI_KEYS = {"input_resolution", "context_length", "vocab_size"}


def _near(name: str, allowed: list[str]) -> str:
    match = difflib.get_close_matches(name, allowed, n=1)
    return f"; did you mean {match[0]!r}?" if match else "."


def architecture_config(
    architecture: str | os.PathLike[str] | Mapping[str, Any],
) -> tuple[dict[str, Any], str]:
    """Configuration in open_clip's layout, and a name for messages.

    Args:
        architecture: an open_clip name ('ViT-B-32-quickgelu'), a ``.json`` file in open_clip's model_configs
            layout (``embed_dim``, ``vision_cfg``, ``text_cfg``), or that layout as a dict.

    Raises:
        ValueError: unknown name (the near match is named) or a configuration without its three parts.
        FileNotFoundError: a ``.json`` path that is not there.
    """
    if isinstance(architecture, Mapping):
        name = "custom"
        config = copy.deepcopy(dict(architecture))
    elif str(architecture).endswith(".json"):
        path = Path(architecture)
        name = path.stem
        config = json.loads(path.read_text(encoding="utf-8"))
    else:
        name = str(architecture)
        config = _named_config(name)
    missing = [key for key in ("embed_dim", "vision_cfg", "text_cfg") if key not in config]
    if missing:
        raise ValueError(f"architecture: the configuration {name!r} lacks {missing}; it has {sorted(config)}")
    return config, name


def _named_config(name: str) -> dict[str, Any]:
    import_torchvision()
    import open_clip

    config = open_clip.get_model_config(name)
    if config is None:
        known = open_clip.list_models()
        raise ValueError(
            f"architecture={name!r} is not an open_clip model{_near(name, known)} "
            f"See open_clip.list_models() ({len(known)} names), or give a .json file or a dict."
        )
    return config


def build_model(config: Mapping[str, Any]) -> Any:
    """The open_clip network of a configuration, randomly initialised, in float32; never downloads."""
    import_torchvision()
    from open_clip.coca_model import CoCa
    from open_clip.model import CLIP, CustomTextCLIP

    arguments: dict[str, Any] = copy.deepcopy(dict(config))
    if "timm_model_name" in arguments["vision_cfg"]:
        arguments["vision_cfg"]["timm_model_pretrained"] = False
    separate_text = arguments.pop("custom_text", False)
    if "hf_model_name" in arguments["text_cfg"]:
        arguments["text_cfg"]["hf_model_pretrained"] = False
        separate_text = True
    if "multimodal_cfg" in arguments:
        return CoCa(**arguments)
    return CustomTextCLIP(**arguments) if separate_text else CLIP(**arguments)


def find_weights(
    weights: str | os.PathLike[str], name: str, quick_gelu: bool, download: bool
) -> tuple[Path, dict[str, Any]]:
    """File that holds the weights, and what open_clip knows of their preprocessing ({} for a user's file).

    Args:
        weights: a file, or a tag of open_clip for architecture ``name``.
        quick_gelu: whether the architecture has quick-GELU activations; tags say what they were trained with.
        download: allow fetching a tag's weights. Without it only the local cache is looked at.

    Raises:
        FileNotFoundError: neither a file nor a tag; or a tag whose weights are not on this machine.
        ValueError: the tag's weights were trained with the other activation (the quick-GELU trap).
    """
    path = Path(weights)
    if path.is_file():
        return path, {}
    from open_clip.pretrained import get_pretrained_cfg, list_pretrained_tags_by_model

    known = get_pretrained_cfg(name, str(weights))
    if not known:
        tags = list_pretrained_tags_by_model(name)
        raise FileNotFoundError(
            f"weights={str(weights)!r}: no such file, and no open_clip tag of {name!r}"
            f"{_near(str(weights), tags)} Known tags: {', '.join(tags) or 'none'}."
        )
    if bool(known.get("quick_gelu", False)) != quick_gelu:
        raise ValueError(_wrong_activation(f"weights={str(weights)!r}", name, quick_gelu))
    return _cached_or_fetched(known, str(weights), name, download), known


def _wrong_activation(what: str, name: str, quick_gelu: bool) -> str:
    twin = name.removesuffix("-quickgelu") if quick_gelu else f"{name}-quickgelu"
    trained, built = ("GELU", "quick-GELU") if quick_gelu else ("quick-GELU", "GELU")
    return (
        f"{what} was trained with {trained} activations, but architecture={name!r} uses {built}: features "
        f"would be silently wrong. Use architecture={twin!r} (in a configuration of your own: "
        f"quick_gelu={not quick_gelu})."
    )


def _cached_or_fetched(known: Mapping[str, Any], tag: str, name: str, download: bool) -> Path:
    from open_clip.pretrained import download_pretrained

    path = _from_cache(known)
    why = "HF_HUB_OFFLINE is set" if download else "download=False"
    if path is None and download and os.environ.get("HF_HUB_OFFLINE", "0") in ("0", ""):
        address = known.get("url") or "https://huggingface.co"
        if not reachable(address):
            why = f"there is no network ({address} does not answer)"
            raise FileNotFoundError(_not_there(tag, name, why, known))
        try:
            return Path(download_pretrained(dict(known)))
        except Exception as error:  # network errors come in many classes
            why = f"fetching them failed ({type(error).__name__})"
    if path is None:
        raise FileNotFoundError(_not_there(tag, name, why, known))
    return path


def _not_there(tag: str, name: str, why: str, known: Mapping[str, Any]) -> str:
    return (
        f"weights={tag!r} of {name!r} are not in this machine's cache, and {why}. Set download=True where "
        f"there is a network, or give the path of a file ({known.get('hf_hub') or known.get('url')})."
    )


def _from_cache(known: Mapping[str, Any]) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    repository, filename = os.path.split(known.get("hf_hub", ""))
    usual = ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"]
    for candidate in [filename] if filename else usual:
        found = try_to_load_from_cache(repository, candidate) if repository else None
        if isinstance(found, str):
            return Path(found)
    url_file = Path("~/.cache/clip").expanduser() / os.path.basename(known.get("url", "") or "none")
    return url_file if url_file.is_file() else None


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors of a file: safetensors, a PyTorch state dict, or a TorchScript archive (OpenAI's own).

    No code in it runs.

    Raises:
        WeightsError (a ValueError): for files that ask to run code, are torn, or hold no tensors.
    """
    return read_weights(path).state_dict()


def load_strictly(
    model: nn.Module, state: dict[str, Tensor], source: str, name: str, quick_gelu: bool
) -> None:
    """Load every tensor or none: keys and shapes must agree.

    OpenAI's layout must meet quick-GELU activations.

    Raises:
        ValueError: listing missing, unexpected and misshapen entries; or the wrong activation.
    """
    if _is_openai(state, source):
        if not quick_gelu:
            raise ValueError(_wrong_activation(f"weights={source!r} (OpenAI's)", name, quick_gelu))
        state = {key: value for key, value in state.items() if key not in _OPENAI_KEYS}
    wanted = model.state_dict()
    if "text.positional_embedding" in wanted and "positional_embedding" in state:  # CLIP into CustomTextCLIP
        from open_clip.model import convert_to_custom_text_state_dict

        state = convert_to_custom_text_state_dict(state)
    problems = _differences(wanted, state)
    if problems:
        raise ValueError(
            f"weights={source!r} do not fit architecture={name!r}: {'; '.join(problems)}. Name the "
            "architecture they were trained with; nothing was loaded."
        )
    model.load_state_dict(state, strict=True)


def _is_openai(state: Mapping[str, Tensor], source: str) -> bool:
    return bool(_OPENAI_KEYS & set(state)) or "openai" in Path(source).name.lower()


def _differences(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> list[str]:
    shapes = [
        f"{key} is {tuple(state[key].shape)}, needs {tuple(wanted[key].shape)}"
        for key in wanted
        if key in state and state[key].shape != wanted[key].shape
    ]
    missing = sorted(set(wanted) - set(state))
    unexpected = sorted(set(state) - set(wanted))
    groups = {"missing": missing, "unexpected": unexpected, "shape": shapes}
    return [f"{label}: {_first_five(items)}" for label, items in groups.items() if items]


def _first_five(items: list[str]) -> str:
    rest = len(items) - 5
    return ", ".join(items[:5]) + (f" and {rest} more" if rest > 0 else "")
