"""``toolbox ipl translate``: what is read, inverted, rendered and written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.models.diffae_filled import SMALL, filled
from toolbox.models.stylegan2 import StyleGAN2Generator
from toolbox.registry import build
from toolbox_ipl import translation
from toolbox_ipl.projection import pixel_distance, project
from toolbox_ipl.translation import Pair, TranslationError, measure, read_images, translate, write


def picture(file: Path, width: int = 12, height: int = 12) -> Path:
    Image.fromarray(np.full((height, width, 3), 90, np.uint8)).save(file)
    return file


def test_what_is_inverted_is_rendered_by_both(tmp_path: Path) -> None:
    """In as many steps; files and numbers of each image are written."""
    source, adapted = filled(**SMALL), filled(**SMALL)
    with torch.no_grad():
        adapted.out[2].bias += 0.5
    names, images = read_images([picture(tmp_path / "one.png"), picture(tmp_path / "two.png")], 8)
    pair = Pair(source, adapted, lambda some: some.flatten(1))
    again, translated = translate(pair, images, steps=3, inversion_steps=5)
    latents = source.invert(images, 5)
    with torch.no_grad():
        assert torch.equal(again, source(latents, steps=3).clamp(-1, 1))
        assert torch.equal(translated, adapted(latents, steps=3).clamp(-1, 1))
    numbers = measure(pair, images, again, translated)
    assert numbers["reconstruction error"][0] == round(
        float((again[0] - images[0]).square().mean().sqrt()), 4
    )
    figure = write(tmp_path / "out", names, (images, again, translated), numbers)
    files = {file.name for file in figure.parent.iterdir()}
    assert {"one_input.png", "two_reconstruction.png", "one_translation.png", "figure.png"} < files
    assert set(json.loads((tmp_path / "out" / "translation.json").read_text())) == {"one", "two"}


def test_projection_comes_nearer() -> None:
    """In W+, from the mean, as a function of images and weights; each image by itself."""
    torch.manual_seed(0)
    network = StyleGAN2Generator(
        image_size=8, latent_dim=4, style_dim=6, channel_base=64, channel_max=8
    ).eval()
    network.requires_grad_(False)
    images = network(torch.randn(2, 4)).clamp(-1, 1)
    ws = project(network, images, steps=60)
    start = network.synthesis(network.styles(network.mapping.w_avg.expand(2, -1)))
    made = network.synthesis(ws)
    assert pixel_distance(made, images) < 0.5 * pixel_distance(start, images)
    assert torch.equal(ws, project(network, images, steps=60))
    alone = project(network, images[:1], steps=60)
    torch.testing.assert_close(alone, ws[:1], rtol=1e-3, atol=1e-3)
    again, translated = translate(Pair(network, network), images, inversion_steps=60)
    torch.testing.assert_close(again, made.clamp(-1, 1))
    assert torch.equal(again, translated)


def test_bad_input(tmp_path: Path) -> None:
    with pytest.raises(TranslationError, match=r"wide.png is 20 x 12 pixels, not square\..*--crop"):
        read_images([picture(tmp_path / "wide.png", width=20)], 8)
    assert read_images([tmp_path / "wide.png"], 8, crop=True)[1].shape == (1, 3, 8, 8)
    with pytest.raises(TranslationError, match=r"wied.png does not exist.*wide.png"):
        read_images([tmp_path / "wied.png"], 8)
    (tmp_path / "empty").mkdir()
    with pytest.raises(TranslationError, match=r"empty holds no pictures"):
        read_images([tmp_path / "empty"], 8)
    gan = build(dict(type="BigGANGenerator", channels=4))
    with pytest.raises(TranslationError, match=r"BigGANGenerator has no inverse"):
        translation._check_alike(gan, gan)
    with pytest.raises(TranslationError, match=r"the source has image_size=8, the adapted generator 32"):
        translation._check_alike(filled(**SMALL), gan)
