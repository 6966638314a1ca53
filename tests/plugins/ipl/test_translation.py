"""``toolbox ipl translate``: what is read, inverted, rendered and written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.models.diffae_filled import SMALL, filled
from toolbox.cli.main import main
from toolbox.data.base import to_uint8
from toolbox.models.stylegan2 import StyleGAN2Generator
from toolbox.models.stylegan2_embedded import WEIGHTS, EmbeddedStyleGAN2
from toolbox.registry import build
from toolbox.visual.grids import save_picture
from toolbox_ipl import translation
from toolbox_ipl.given_latents import LatentsError, read_latents, write_latents
from toolbox_ipl.likeness import Likeness, likenesses
from toolbox_ipl.projection import pixel_distance, project
from toolbox_ipl.translation import (
    Pair,
    TranslationError,
    given_latents,
    invert,
    measure,
    read_images,
    render,
    translate,
    write,
)


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
    network = small_stylegan()
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


def small_stylegan() -> StyleGAN2Generator:
    torch.manual_seed(0)
    made = StyleGAN2Generator(image_size=8, latent_dim=4, style_dim=6, channel_base=64, channel_max=8)
    return made.eval().requires_grad_(False)


FILES = [Path("one.png"), Path("two.jpg")]


def test_latents_of_an_encoder_are_read(tmp_path: Path) -> None:
    """In W+ in the order of the pictures, in W, or by their names; what is written is read."""
    network = small_stylegan()
    ws = torch.randn(2, network.n_styles, 6)
    np.save(tmp_path / "order.npy", ws.numpy().astype(np.float64))
    torch.save(ws, tmp_path / "order.pt")
    torch.save({"two": ws[1], "other.png": ws[0] * 0, "one.png": ws[0]}, tmp_path / "names.pt")
    write_latents(tmp_path / "written.pt", ["one", "two"], ws)
    for file in ("order.npy", "order.pt", "names.pt", "written.pt"):
        found = read_latents(tmp_path / file, FILES, network)
        assert torch.equal(found, ws) and found.dtype == torch.float32, file
    np.save(tmp_path / "w.npy", ws[:, 0].numpy())
    assert torch.equal(read_latents(tmp_path / "w.npy", FILES, network), ws[:, :1].expand_as(ws))
    np.save(tmp_path / "one.npy", ws[0].numpy())
    assert torch.equal(read_latents(tmp_path / "one.npy", FILES[:1], network), ws[:1])
    pair, images = Pair(network, network), torch.zeros(2, 3, 8, 8)
    again, translated = render(pair, invert(pair, images, ws=ws))
    assert torch.equal(again, network.synthesis(ws, network.synthesis.constant_noise()).clamp(-1, 1))
    assert torch.equal(again, translated)


def test_latents_that_do_not_fit(tmp_path: Path) -> None:
    network = small_stylegan()
    np.save(tmp_path / "wide.npy", np.zeros((2, 4, 512), np.float32))
    np.save(tmp_path / "nan.npy", np.full((2, network.n_styles, 6), np.nan, np.float32))
    np.save(tmp_path / "objects.npy", np.array({"one": 1}, dtype=object), allow_pickle=True)
    torch.save({"one": torch.zeros(4, 6), "tow": torch.zeros(4, 6)}, tmp_path / "names.pt")
    torch.save({"one": torch.zeros(4, 6), "two": torch.zeros(3, 6)}, tmp_path / "shapes.pt")
    (tmp_path / "torn.pt").write_bytes(b"torn")
    for file, message in {
        "wide.npy": r"of shape \(2, 4, 512\); 2 pictures .* need \(2, 4, 6\) of W\+, or \(2, 6\) of W",
        "nan.npy": "not finite",
        "objects.npy": "cannot be read as latents: Object arrays",
        "names.pt": r"no latents of 'two.jpg'",
        "shapes.pt": r"several shapes: \(3, 6\), \(4, 6\)",
        "torn.pt": "cannot be read as latents",
        "none.pt": "no such file",
    }.items():
        with pytest.raises(LatentsError, match=message):
            read_latents(tmp_path / file, FILES, network)
    diffusion = filled(**SMALL)
    with pytest.raises(TranslationError, match=r"DiffAE inverts images itself: it takes no latents in W\+"):
        given_latents(Pair(diffusion, diffusion), tmp_path / "wide.npy", FILES)


def test_stand_ins_are_named_and_missing_files_too(tmp_path: Path) -> None:
    first, second = likenesses()
    assert first.name == "toy-clip cosine (stands in for LPIPS)"
    assert second.name == "toy-portrait-judge cosine (stands in for ID)"
    with pytest.raises(FileNotFoundError, match=r"LPIPS: heads='b': no such file; it takes .*vgg.pth"):
        likenesses(lpips=("a", "b"))
    with pytest.raises(FileNotFoundError, match=r"IRSE50: .* it takes model_ir_se50.pth"):
        likenesses(identity=tmp_path / "none.pth")
    one, other = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    assert Likeness("", torch.nn.Identity(), squared=True).between(one, other).tolist() == [5.0]
    assert Likeness("", torch.nn.Identity()).between(one, other).tolist() == [0.0]


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the shipped generator for both, and latents that are its own: the reconstruction is exact."""
    network = EmbeddedStyleGAN2().eval()
    w = network.style_latent(torch.randn(1, network.latent_dim, generator=torch.Generator().manual_seed(1)))
    with torch.no_grad():
        image = network.synthesis(network.styles(w), network.synthesis.constant_noise()).clamp(-1, 1)
    save_picture(to_uint8(image)[0].numpy(), tmp_path / "face.png")
    np.save(tmp_path / "latents.npy", w.detach().numpy())
    out = tmp_path / "out"
    command = ["ipl", "translate", str(WEIGHTS), str(tmp_path / "face.png"), "-o", str(out)]
    options = ["--source", "EmbeddedStyleGAN2", "--latents", str(tmp_path / "latents.npy")]
    assert main([*command, *options]) == 0
    numbers = json.loads((out / "translation.json").read_text())["face"]
    assert numbers["reconstruction error"] < 0.005 and numbers["change by translation"] == 0
    assert numbers["toy-portrait-judge cosine (stands in for ID) of input and reconstruction"] > 0.999
    assert "stands in for LPIPS" in capsys.readouterr().out
    kept = read_latents(out / "latents.pt", ["face.png"], network)
    assert torch.equal(kept[0, 0], w[0])
    assert main([*command, *options, "--inversion-steps", "3"]) != 0


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
