"""Constructor arguments that NVIDIA's StyleGAN2 pickles record, as ours: what tensors alone do not show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolbox.catalog import near_miss
from toolbox.weights.errors import WeightsError, short

#: Theirs -> ours; None = of no effect on the function in float32, or fixed in ours.
_SIZES = {"c_dim": "n_conditions", "img_resolution": "image_size", "img_channels": "image_channels"}
_LAYERS = {
    "activation": "act",
    "resample_filter": "resample_filter",
    "conv_clamp": "conv_clamp",
    "architecture": "architecture",
    "channel_base": "channel_base",
    "channel_max": "channel_max",
    "num_fp16_res": None,
    "fp16_channels_last": None,
    "fused_modconv_default": None,
}
_MAPPING = {"num_layers": "mapping_layers", "lr_multiplier": "lr_multiplier"}
_Tables = Mapping[str, Mapping[str, str | None]]
_GENERATOR: _Tables = {
    "": {**_SIZES, "z_dim": "latent_dim", "w_dim": "style_dim", **_LAYERS, "use_noise": "use_noise"},
    "mapping_kwargs": {
        **_MAPPING,
        "embed_features": "embed_features",
        "layer_features": "layer_features",
        "w_avg_beta": "average_beta",
    },
    "synthesis_kwargs": {**_LAYERS, "use_noise": "use_noise"},
}
_DISCRIMINATOR: _Tables = {
    "": {**_SIZES, **_LAYERS, "cmap_dim": "condition_dim"},
    "mapping_kwargs": _MAPPING,
    "block_kwargs": {**_LAYERS, "freeze_layers": None},
    "epilogue_kwargs": {
        "mbstd_group_size": "minibatch_std_group",
        "mbstd_num_channels": "minibatch_std_channels",
    },
}

#: What their classes take where a pickle says nothing, and ours would take something else.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "Generator": dict(conv_clamp=None, channel_base=32768, mapping_layers=8),
    "Discriminator": dict(
        conv_clamp=None, channel_base=32768, mapping_layers=8, architecture="resnet", minibatch_std_group=4
    ),
}


def arguments_of(class_name: str, init_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of StyleGAN2Generator or StyleGAN2Discriminator.

    ``conv_clamp`` is part of the function: 256 in the published runs, none where the pickle says nothing.
    ``num_fp16_res`` (which resolutions were computed in float16) is not: ours compute in what the game or
    autocast says. StyleGAN3's StyleGAN2 has the arguments of the synthesis network at the top.

    Args:
        class_name: 'Generator' or 'Discriminator'.
        init_kwargs: as :meth:`toolbox.weights.nvidia.Network.properties` gives them.

    Raises:
        WeightsError: for another class, or an argument that ours has no counterpart of.
    """
    tables = {"Generator": _GENERATOR, "Discriminator": _DISCRIMINATOR}.get(class_name)
    if tables is None:
        raise WeightsError(
            f"a network of class {short(class_name)} is no StyleGAN2 Generator or Discriminator"
        )
    result: dict[str, Any] = dict(_DEFAULTS[class_name])
    for key, value in init_kwargs.items():
        if key in tables and isinstance(value, Mapping):
            for inner, setting in value.items():
                _set(result, f"{key}.{inner}", setting, tables[key], key == "mapping_kwargs")
        else:
            _set(result, key, value, tables[""], False)
    return result


def _set(
    result: dict[str, Any], name: str, value: object, table: Mapping[str, str | None], of_mapping: bool
) -> None:
    key = name.rpartition(".")[2]
    if of_mapping and key == "activation":
        if value != "lrelu":
            raise WeightsError(
                f"{short(name)}={short(value)}: our mapping network has leaky ReLU ('lrelu') alone"
            )
        return
    if key not in table:
        raise WeightsError(
            f"constructor argument {short(name)}={short(value)} of the file is not "
            f"known{near_miss(key, table)}; known: {', '.join(table)}"
        )
    ours = table[key]
    if ours is None:
        return
    if ours == "minibatch_std_group" and value is None:
        value = 0  # all images at hand
    result[ours] = list(value) if isinstance(value, tuple) else value
