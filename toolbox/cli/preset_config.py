"""Whole training configs out of the published StyleGAN2 runs (:mod:`toolbox.models.stylegan2_presets`)."""

from __future__ import annotations

from typing import Any

from toolbox.data.given import look_at
from toolbox.models.style_based import resolutions
from toolbox.models.stylegan2_presets import Preset, lazy, preset

BASE = "_base_/stylegan2_folder.py"
_QUICK_SIZE = 32  # of its networks, with --quick


def preset_config(
    name: str, image_size: int, processes: int = 1, conditional: bool = False
) -> dict[str, Any]:
    """What a published run sets, to be merged over ``configs/_base_/stylegan2_folder.py``.

    Args:
        name: 'auto' (ADA's, derived from size and processes), 'paper256', 'paper512', 'paper1024',
            'config-e', 'config-f', 'cifar'.
        image_size: a power of two from 4 on.
        processes: GPUs; only 'auto' depends on them.
        conditional: on the classes of the folder.

    Raises:
        ValueError: for an unknown name or size.
    """
    resolutions(image_size)
    run = preset(name, image_size, processes)
    network: dict[str, Any] = dict(preset=name, image_size=image_size)
    if conditional:
        network["n_conditions"] = "data:n_classes"
    discriminator = dict(optimizer=lazy(run.lr, 16))
    generator = dict(optimizer=lazy(run.lr, 4))
    return dict(
        train_dataloader=dict(batch_size=run.batch, dataset=dict(source=dict(image_size=image_size))),
        model=_model(run, network, conditional),
        optim_wrapper=dict(discriminator=discriminator, generator=generator),
        train_cfg=dict(max_iters=-(-run.kimg * 1000 // run.batch)),  # rounded up
    )


def _model(run: Preset, network: dict[str, Any], conditional: bool) -> dict[str, Any]:
    objectives: dict[str, Any] = dict(r1=dict(gamma=round(run.r1_gamma, 8)))
    networks = dict(generator=network, discriminator=dict(network))
    model: dict[str, Any] = dict(networks=networks, objectives=objectives, average=_average(run))
    if conditional:
        model["conditioner"] = dict(type="ClassConditions", class_names="data:classes")
    if not run.augmented:
        model["augment"] = None
    if not run.path_length:
        objectives["path_length"] = None
        model["phases"] = [
            dict(player="generator", objectives=["real_or_fake"]),
            dict(player="discriminator", objectives=["real_or_fake"]),
            dict(player="discriminator", objectives=["r1"], every=16),
        ]
    return model


def preset_text(
    name: str,
    image_size: int,
    processes: int = 1,
    conditional: bool = False,
    base: str = BASE,
    data: str | None = None,
) -> str:
    """The config file of :func:`preset_config`, for a person to edit.

    Args:
        name, image_size, processes, conditional: as there.
        base: what it is merged over: a path from the file's folder, or 'toolbox/<config>'.
        data: folder or zip of images; None = the base's.
    """
    config = preset_config(name, image_size, processes, conditional)
    if data is not None:
        source = _source(data, conditional)
        config["train_dataloader"]["dataset"]["source"] |= source
        if "_delete_" in source:  # what reads a zip is not what the base's quick block speaks of
            config["quick"] = dict(train_dataloader=dict(dataset=dict(source=dict(image_size=_QUICK_SIZE))))
    kind = f"{image_size} pixels, {'conditional' if conditional else 'unconditional'}"
    title = f"StyleGAN2, {name}, {kind}"
    summary = f"StyleGAN2 with the published settings {name!r}: {kind}, for {_processes(name, processes)}."
    lines = [f'"""{summary}"""', "", f"_base_ = {base!r}", f"title = {title!r}"]
    lines += [f"{key} = {_literal(value)}" for key, value in config.items()]
    return "\n".join([*lines, ""])


def _source(data: str, conditional: bool) -> dict[str, Any]:
    """What reads a folder or zip, over the base's ImageFolder.

    Raises:
        DataError: for a path that holds no images.
        ValueError: for images without classes where they are needed.
    """
    found = look_at(data)
    if conditional and not found.classes:
        raise ValueError(
            f"--data {data} has no classes, which --conditional needs: a folder of images for each class, or "
            "a zip whose dataset.json has labels"
        )
    return dict(found.train) if found.train["type"] == "ImageFolder" else {"_delete_": True, **found.train}


def _processes(name: str, processes: int) -> str:
    number = preset(name, 256, processes).processes
    return f"{number} GPU{'s' if number > 1 else ''}"


def _average(run: Preset) -> dict[str, Any]:
    return dict(generator=dict(half_life_kimg=float(run.half_life_kimg), rampup=run.rampup))


def _literal(value: Any, depth: int = 1) -> str:
    """``dict(...)`` over lines: as our configs are written."""
    if not isinstance(value, dict):
        return repr(value)
    inside = [f"{key}={_literal(item, depth + 1)}" for key, item in value.items()]
    joined = ", ".join(inside)
    if len(joined) < 90 - 4 * depth and "\n" not in joined:
        return f"dict({joined})"
    indent = "    " * depth
    return f"dict(\n{indent}" + f",\n{indent}".join(inside) + ")"
