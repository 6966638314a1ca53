"""SSA-GAN: the official networks' outputs from their own weights, and one line for what does not fit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.models import t2i_filled as filled
from toolbox import testing
from toolbox.interfaces import Condition, TextCodes
from toolbox.losses.regularisers import matching_aware_penalty
from toolbox.models.ssagan import SemanticSpatialBatchNorm, SSAGANDiscriminator, SSAGANGenerator

TINY = dict(channels=2, image_size=16, code_dim=5)
BOTH = [SSAGANGenerator, SSAGANDiscriminator]


def said(n: int = 4, width: int = 5) -> Condition:
    return filled.said(torch.randn(n, width, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize(
    ("kind", "letter", "count"), [(BOTH[0], "G", 29_494_273), (BOTH[1], "D", 80_379_526)]
)
def test_names_and_shapes_are_the_published(kind: type[nn.Module], letter: str, count: int) -> None:
    with torch.device("meta"):
        network = kind()
    assert filled.shapes(network.state_dict()) == filled.manifest(f"ssagan_{letter}")
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@torch.no_grad()
def test_first_masks_are_the_published_networks() -> None:
    """At full width, of the layers up to 8 px alone: the rest is in the slow test."""
    expected = filled.golden("ssagan_G")
    with torch.device("meta"):
        network = SSAGANGenerator().eval()
    for name in ("fc", "conv_mask", "block0", "block1"):
        part = network.get_submodule(name)
        part.to_empty(device="cpu")
        filled.fill(part, f"{name}.")
    network.feature_layers = network.feature_layers[:2]
    walk = network._walk(expected["z"], filled.said(expected["sent_emb"]))
    for mask, size in zip((mask for _, mask in walk), (4, 8), strict=True):
        filled.close(mask, expected[f"mask{size}"])


@pytest.mark.slow
@torch.no_grad()
def test_generator_gives_the_published_images_and_masks() -> None:
    expected, network = filled.golden("ssagan_G"), SSAGANGenerator().eval()
    filled.fill(network)
    sample = network.generate(expected["z"], filled.said(expected["sent_emb"]))
    filled.close(sample.images[:, :, ::4, ::4], expected["img"])
    for mask in sample.extras["masks"]:
        step = max(1, mask.shape[2] // 32)
        filled.close(mask[:, :, ::step, ::step], expected[f"mask{mask.shape[2]}"])
    assert len(sample.extras["masks"]) == 7


@pytest.mark.slow
def test_discriminator_and_its_penalty_are_the_published() -> None:
    expected, network = filled.golden("ssagan_D"), SSAGANDiscriminator().eval()
    filled.fill(network)
    images = filled.enlarged(expected["x_low"]).requires_grad_()
    sentence = expected["sent_emb"].clone().requires_grad_()
    features = network.encode(images)
    logits = network.judge(features, filled.said(sentence))
    filled.close(features[:, ::16], expected["feat"])
    filled.close(logits, expected["logit"].flatten())
    wrong = network.judge(features[:-1], filled.said(sentence[1:]))
    filled.close(wrong, expected["mismatch_logit"].flatten())
    gradients = torch.autograd.grad(logits.sum(), [images, sentence], create_graph=True)
    norms = torch.cat([gradient.flatten(1) for gradient in gradients], 1).norm(dim=1)
    filled.close(norms, expected["grad_norm"])
    penalty = matching_aware_penalty(logits, [images, sentence])
    torch.testing.assert_close(penalty, expected["magp"], rtol=1e-4, atol=1e-8)
    penalty.backward()
    found, wanted = network.conv_img.weight.grad, expected["magp_grad_conv_img_weight"]
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))


def test_contracts() -> None:
    generator = SSAGANGenerator(latent_dim=6, mask_channels=3, **TINY)
    filled.fill(generator)  # as it begins, the sentence has no effect
    testing.check_generator(generator, said())
    testing.check_discriminator(SSAGANDiscriminator(**TINY), 16, said())


def test_the_sentence_acts_where_the_mask_is() -> None:
    norm = SemanticSpatialBatchNorm(4, 5).eval()
    filled.fill(norm)
    x, sentence = torch.randn(2, 4, 6, 6), torch.randn(2, 5)
    mask = torch.rand(2, 1, 6, 6)
    mask[:, :, :3] = 0
    y, plain = norm(x, sentence, mask), norm.batch_norm2d(x)
    gamma, beta = norm.fc_gamma(sentence), norm.fc_beta(sentence)
    torch.testing.assert_close(y, (gamma * mask + 1) * plain + beta * mask)
    assert torch.equal(y[:, :, :3], plain[:, :, :3])


def test_masks_grow_with_the_blocks() -> None:
    network = SSAGANGenerator(channels=1, image_size=32, latent_dim=3, code_dim=5, mask_channels=2)
    masks = network.generate(torch.randn(2, 3), said(2)).extras["masks"]
    assert [tuple(mask.shape) for mask in masks] == [(2, 1, size, size) for size in (4, 8, 16, 32)]
    assert all(bool(((mask > 0) & (mask < 1)).all()) for mask in masks)


@pytest.mark.parametrize("kind", BOTH)
def test_files_of_dataparallel_and_of_old_torch_load(kind: type[nn.Module]) -> None:
    network, other = kind(**TINY), kind(**TINY)
    state = {
        f"module.{name}": tensor
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    other.load_state_dict(state)
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (None, r"reads captions and got none: condition.codes must hold sentence codes \(N, 5\)"),
        (Condition(labels=torch.zeros(2, dtype=torch.long)), "reads captions and got none"),
        (Condition(codes=TextCodes(torch.zeros(2, 7))), r"shape \(2, 7\), expected \(N, 5\); code_dim=5"),
    ],
)
@pytest.mark.parametrize("kind", BOTH)
def test_codes_that_do_not_fit(kind: type[nn.Module], condition: Condition | None, message: str) -> None:
    network = kind(**TINY)
    inputs = torch.zeros(2, 100) if kind is SSAGANGenerator else torch.zeros(2, 3, 16, 16)
    with pytest.raises(ValueError, match=f"{kind.__name__}.*{message}") as raised:
        network(inputs, condition)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("size", [0, 8, 24, 100])
def test_sizes_that_do_not_fit(size: int) -> None:
    with pytest.raises(ValueError, match=f"image_size={size}"):
        SSAGANGenerator(image_size=size)
    with pytest.raises(ValueError, match=r"takes images of image_size=16, got \(2, 3, 8, 8\)"):
        SSAGANDiscriminator(**TINY).encode(torch.zeros(2, 3, 8, 8))
