"""Where a generator looked: its attention to each word of a caption, or its masks, over the image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.interfaces import Request, Sample
from toolbox.training.game.sampler import Sampler
from toolbox.visual.grids import Picture, image_grid, save_picture, stacked

_LARGEST = 128  # pixels: larger images are reduced
_SHOWN = 96  # up to which smaller ones are enlarged, so that maps can be seen
_DARK = 0.12  # what is left of the image where nothing looks


def save_attention(sampler: Sampler, texts: Sequence[str], path: str | Path) -> Path:
    """Image number 0 of each text with the places where its words were looked at, as a PNG.

    Of generators that attend to words (``extras['attention']``: AttnGAN, DM-GAN): a row a stage, a column a
    word. The image is as bright as the attention, relative to the row's largest; below stands the word's
    share of all attention. Of those with masks (``extras['masks']``: SSA-GAN): a column a mask, from 0 (dark)
    to 1.

    Returns:
        The path.

    Raises:
        ValueError: for a generator that has neither, or a truncated one.
    """
    blocks = []
    for text in texts:
        sample = sampler(torch.zeros(1, dtype=torch.int64), requests=Request(text=text))
        if "attention" in sample.extras:
            blocks.append(_of_words(sample, _words(sampler, sample), text))
        elif "masks" in sample.extras:
            blocks.append(_of_masks(sample, text))
        else:
            raise ValueError(_why_none(sampler))
    return save_picture(stacked(blocks), path)


def lit(image: Tensor, amount: Tensor) -> Tensor:
    """(3, H, W) of an image in [-1, 1], dark where ``amount`` (h, w) is 0, as it is where it is 1."""
    there = F.interpolate(amount[None, None].float(), image.shape[1:], mode="bilinear", align_corners=False)
    return (image + 1) * (_DARK + (1 - _DARK) * there[0].clamp(0, 1)) - 1


def _of_words(sample: Sample, words: Sequence[str], text: str) -> Picture:
    image = _fitting(sample.images)[0]
    tiles, shares, rows = [], [], []
    for maps in sample.extras["attention"]:
        own = maps[0, : len(words)].float().cpu()  # (words, h, w)
        tiles += [image, *(lit(image, each / own.max()) for each in own)]
        shares += ["", *(f"{share:.0%}" for share in own.mean(dim=(1, 2)).tolist())]
        rows.append(f"{own.shape[1]} x {own.shape[2]}")
    return image_grid(torch.stack(tiles), len(words) + 1, rows, ["", *words], 1, text, shares)


def _of_masks(sample: Sample, text: str) -> Picture:
    image = _fitting(sample.images)[0]
    masks = [mask[0, 0].float().cpu() for mask in sample.extras["masks"]]
    names = ["", *(f"{mask.shape[0]} x {mask.shape[1]}" for mask in masks)]
    tiles = torch.stack([image, *(lit(image, mask) for mask in masks)])
    return image_grid(tiles, len(tiles), None, names, 1, text)


def _words(sampler: Sampler, sample: Sample) -> list[str]:
    """The words that there is attention to, numbered where the conditioner cannot say them one by one."""
    codes = sample.condition.codes
    n = int(sample.extras["attention"][0].shape[1])
    if codes is not None and codes.lengths is not None:
        n = int(codes.lengths[0])
    told = sampler.game.conditioner.in_words(sample.condition)
    words = told[0].split() if told else []
    return words if len(words) == n else [f"token {i + 1}" for i in range(n)]


def _fitting(images: Tensor) -> Tensor:
    """On the CPU, of a size at which a dozen fit side by side."""
    images = images.detach().float().cpu()
    size = images.shape[-1]
    if size > _LARGEST:
        return F.interpolate(images, (_LARGEST, _LARGEST), mode="bilinear", antialias=True)
    factor = max(1, _SHOWN // size)
    return images.repeat_interleave(factor, 2).repeat_interleave(factor, 3)


def _why_none(sampler: Sampler) -> str:
    name = type(sampler.generator).__name__
    if sampler.truncation < 1:
        return f"attention is shown of images with truncation=1, not {sampler.truncation}"
    return (
        f"{name} has no attention that could be shown: AttnGANGenerator and DMGANGenerator attend to words, "
        "SSAGANGenerator has masks"
    )
