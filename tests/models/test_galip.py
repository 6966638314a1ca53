"""GALIP: the official networks' outputs, CLIP's taps, and one line for what does not fit."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import nn

from tests.models import t2i_filled as filled
from toolbox import testing
from toolbox.interfaces import Condition, TextCodes
from toolbox.losses.regularisers import matching_aware_penalty
from toolbox.models.borrowing import copy_sharing, lend
from toolbox.models.clip import Clip
from toolbox.models.clip_embedded import EmbeddedClip
from toolbox.models.galip import CLIP_IN_GENERATOR, ClipMapper, GALIPDiscriminator, GALIPGenerator

ARCHITECTURE = dict(
    embed_dim=6,
    quick_gelu=True,
    vision_cfg=dict(image_size=16, patch_size=4, layers=4, width=8, head_width=4),
    text_cfg=dict(context_length=8, vocab_size=20, width=8, heads=2, layers=1),
)
TINY_G = dict(channels=2, image_size=32, latent_dim=5, code_channels=4, bridge_blocks=1, prompted=(1, 2))
TINY_D = dict(channels=2, taps=(0, 2, 3))


@cache
def tiny_clip() -> Clip:
    clip = Clip(ARCHITECTURE)
    filled.fill(clip.model)
    return clip


@cache
def clip_of_the_references() -> Clip:
    clip = Clip("ViT-B-32-quickgelu")
    filled.fill(clip.model.visual, "visual.")
    return clip


def said(n: int = 4, width: int = 6) -> Condition:
    return filled.said(torch.randn(n, width, generator=torch.Generator().manual_seed(1)))


@cache
def full_on_paper() -> tuple[GALIPGenerator, GALIPDiscriminator]:
    """Of full size, without memory."""
    with torch.device("meta"):
        clip = Clip("ViT-B-32-quickgelu")
        return GALIPGenerator(clip), GALIPDiscriminator(clip)


def test_names_and_shapes_are_the_published() -> None:
    generator, discriminator = full_on_paper()
    published = filled.manifest("galip_G")
    ours = filled.shapes(generator.state_dict())
    clip = filled.shapes(generator.mapping.visual.state_dict())
    copied = {
        key.removeprefix(CLIP_IN_GENERATOR): shape for key, shape in published.items() if key not in ours
    }
    assert all(published[key] == shape for key, shape in ours.items())
    assert copied == {key: clip[key] for key in clip if not key.startswith(("ln_post", "proj"))}
    assert filled.shapes(discriminator.netD.state_dict()) == filled.manifest("galip_D")
    assert filled.shapes(discriminator.netC.state_dict()) == filled.manifest("galip_C")
    assert [sum(p.numel() for p in part.parameters()) for part in (generator, discriminator.netD)] == [
        51_830_211,
        28_706_821,
    ]


@pytest.mark.slow
@torch.no_grad()
def test_generator_gives_the_published_images() -> None:
    expected, network = filled.golden("galip_G"), GALIPGenerator(clip_of_the_references()).eval()
    filled.fill(network)
    condition = filled.said(expected["sent_emb"])
    c = torch.cat([expected["z"], expected["sent_emb"]], 1)
    mapped = network.mapping(network.fc_code(expected["z"]).unflatten(1, (64, 7, 7)), c)
    filled.close(mapped[:, ::16], expected["mapping_out"])
    filled.close(network(expected["z"], condition)[:, :, ::4, ::4], expected["img"])


@pytest.mark.slow
def test_discriminator_and_its_penalty_are_the_published() -> None:
    expected, network = filled.golden("galip_D"), GALIPDiscriminator(clip_of_the_references()).eval()
    filled.fill(network.netD)
    filled.fill(network.netC)
    with torch.no_grad():
        larger = network.look(filled.enlarged(expected["x256_low"]))
        seen = network.look(filled.enlarged(expected["x224_low"]))
    filled.close(larger.taps[:, :, ::32], expected["taps256"])
    filled.close(larger.embedding, expected["emb256"])
    filled.close(seen.taps[:, :, ::16], expected["taps224"])
    filled.close(seen.embedding, expected["emb224"])
    seen.taps.requires_grad_()
    sentence = expected["sent_emb"].clone().requires_grad_()
    features = network.encode(seen)
    logits = network.judge(features, filled.said(sentence))
    filled.close(features[:, ::8], expected["feats"])
    filled.close(logits, expected["logit"].flatten())
    gradients = torch.autograd.grad(logits.sum(), [seen.taps, sentence], create_graph=True)
    norms = torch.cat([gradient.flatten(1) for gradient in gradients], 1).norm(dim=1)
    filled.close(norms, expected["magp_grad_norm"])
    filled.close(matching_aware_penalty(logits, [seen.taps, sentence]), expected["magp"])


def test_contracts() -> None:
    testing.check_generator(lambda: GALIPGenerator(tiny_clip(), **TINY_G), said())
    testing.check_discriminator(lambda: GALIPDiscriminator(tiny_clip(), **TINY_D), 32, said())


@torch.no_grad()
def test_taps_and_embedding_are_clips_own() -> None:
    clip, network = tiny_clip(), GALIPDiscriminator(tiny_clip(), **TINY_D, clip_double_rescale=False)
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    seen = network.look(images)
    torch.testing.assert_close(seen.embedding, clip.encode_images(images))
    theirs = clip.model.visual.forward_intermediates(clip.preprocess(images), indices=[0, 2, 3])
    torch.testing.assert_close(seen.taps, torch.stack(theirs["image_intermediates"], 1))


@torch.no_grad()
def test_images_are_rescaled_twice_and_resized_to_the_nearest() -> None:
    network = GALIPDiscriminator(tiny_clip(), **TINY_D)
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    faint = images / 2 + 0.5  # in [0, 1], read as if in [-1, 1]
    plain = GALIPDiscriminator(tiny_clip(), **TINY_D, clip_double_rescale=False)
    torch.testing.assert_close(network.look(images).taps, plain.look(faint).taps)
    large = images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(network.look(large).taps, network.look(images).taps)


@torch.no_grad()
def test_each_prompted_block_sees_its_own_prompt_behind_the_tokens() -> None:
    """The mapper block by block, as it is described."""
    mapper = ClipMapper(tiny_clip(), 5, None, 4, 1, (1, 3), 7)
    code, c = torch.randn(2, 4, 4, 4), torch.randn(2, 11)
    bridge = mapper.conv_fuse(mapper.FBlocks[0](code, c))
    prompts = mapper.fc_prompt(c).view(2, 2, 8)
    visual = tiny_clip().model.visual
    tokens = torch.cat([visual.class_embedding.expand(2, 1, 8), bridge.flatten(2).transpose(1, 2)], 1)
    tokens = visual.ln_pre(tokens + visual.positional_embedding)
    blocks = visual.transformer.resblocks
    tokens = blocks[0](tokens)
    tokens = blocks[1](torch.cat([tokens, prompts[:, :1]], 1))[:, :17]
    tokens = blocks[2](tokens)
    tokens = blocks[3](torch.cat([tokens, prompts[:, 1:]], 1))[:, :17]
    patches = tokens[:, 1:].transpose(1, 2).reshape(2, 8, 4, 4)
    torch.testing.assert_close(mapper(code, c), mapper.conv(bridge + 0.1 * patches))


@torch.no_grad()
@pytest.mark.parametrize("size", [8, 16, 14])
def test_what_commutes_with_the_resize_changes_nothing(size: int) -> None:
    """Resized first, as it is described."""
    from toolbox.models.galip import GeneratorBlock

    block = GeneratorBlock(6, 4, 5, 7 if size == 8 else 8, size)
    filled.fill(block)
    x, c = (
        torch.randn(2, 6, block.size * 7 // 8 if size == 8 else 8, 8 if size != 8 else 7),
        torch.randn(2, 5),
    )
    large = nn.functional.interpolate(x, size=(size, size), mode="nearest")
    main = nn.functional.conv2d(block.fuse1(large, c), block.c1.weight, block.c1.bias, padding=1)
    expected = block.c_sc(large) + block.c2(block.fuse2(main, c))
    torch.testing.assert_close(block(x, c), expected)


def test_clip_is_borrowed() -> None:
    """It is in no state dict, copies share it, and nobody moves it."""
    clip = tiny_clip()
    network = GALIPDiscriminator(clip, **TINY_D)
    lend(network, [clip])
    twin = copy_sharing(network)
    assert twin.clip is clip and not any("clip" in name for name in network.state_dict())
    images = torch.rand(2, 3, 16, 16, requires_grad=True)
    network(images, said(2)).sum().backward()
    assert images.grad is not None and all(p.grad is None for p in clip.parameters())


def published(**changes: Any) -> tuple[GALIPGenerator, dict[str, torch.Tensor]]:
    """A generator, and its state as the authors' code writes it on a GPU: CLIP in half precision."""
    network = GALIPGenerator(tiny_clip(), **TINY_G)
    clip = tiny_clip().model.visual.state_dict()
    state = {**network.state_dict(), **{f"{CLIP_IN_GENERATOR}{key}": clip[key].half() for key in clip}}
    return network, {f"module.{key}": value for key, value in (state | changes).items()}


def test_published_states_load() -> None:
    network, state = published()
    other = GALIPGenerator(tiny_clip(), **TINY_G)
    other.load_state_dict(state)
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in network.state_dict().items())


def test_another_clip_than_the_generators_is_refused() -> None:
    _, state = published()
    plain = Clip({**ARCHITECTURE, "quick_gelu": False})
    with pytest.raises(ValueError, match="with quick-GELU; 'custom' has GELU: take 'custom-quickgelu'"):
        GALIPGenerator(plain, **TINY_G).load_state_dict(state)
    with pytest.raises(ValueError, match="trained through another CLIP than 'custom' with these weights"):
        GALIPGenerator(Clip(ARCHITECTURE), **TINY_G).load_state_dict(state)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GALIPGenerator(tiny_clip()), r"prompted=\(1, 2, 3.*\('custom'\) has the blocks 0 to 3"),
        (lambda: GALIPDiscriminator(tiny_clip()), r"taps=\(1, 4, 8\) must be rising .*blocks 0 to 3"),
        (lambda: GALIPDiscriminator(tiny_clip(), taps=(2, 1)), r"taps=\(2, 1\) must be rising"),
        (lambda: GALIPDiscriminator(tiny_clip(), taps=()), r"taps=\(\) of 4 x 4 tokens: at least a tap"),
        (lambda: GALIPDiscriminator(EmbeddedClip()), "has a ModifiedResNet: take a ViT, such as"),
        (lambda: GALIPGenerator(tiny_clip(), image_size=16), "image_size=16 must be a whole number of 32"),
        (
            lambda: GALIPDiscriminator(tiny_clip(), **TINY_D)(
                torch.zeros(2, 3, 16, 16), Condition(codes=TextCodes(torch.zeros(2, 7)))
            ),
            r"shape \(2, 7\), expected \(N, 6\); code_dim=6",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        make()
    assert "\n" not in str(raised.value)
