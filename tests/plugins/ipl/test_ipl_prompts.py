"""Prompts of latents: the authors' numbers, the contract, and what is refused."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from toolbox import testing
from toolbox.models.clip import Clip
from toolbox.training.checkpoints import CheckpointError
from toolbox.training.pretrained import load_network_weights
from toolbox_ipl.prompts import LatentPrompts, SharedPrompts

DATA = Path(__file__).parent / "data"
TOWER = dict(context_length=77, vocab_size=49408, width=64, heads=4, layers=2)


def tiny_clip(width: int = 64, seed: int = 0) -> Clip:
    torch.manual_seed(seed)
    vision = dict(image_size=16, layers=1, width=16, patch_size=8, head_width=8)
    architecture = dict(embed_dim=32, vision_cfg=vision, text_cfg=dict(TOWER, width=width), quick_gelu=True)
    return Clip(architecture)


@pytest.fixture(scope="module")
def clip() -> Clip:
    """Filled as the reference's tower was."""
    network = tiny_clip()
    for name, value in network.model.state_dict().items():
        if not name.startswith("visual.") and value.ndim:
            value.copy_(torch.from_numpy(filled(name, tuple(value.shape))))
    return network


def filled(name: str, shape: tuple[int, ...]) -> Any:
    key = zlib.crc32(f"text.{name}".encode())
    v = np.random.default_rng(key).standard_normal(shape).astype(np.float32)
    if name == "token_embedding.weight":
        return 0.02 * v
    if name == "positional_embedding":
        return 0.01 * v
    if len(shape) == 1:
        is_scale = name.endswith("weight") and ("ln_" in name)
        return 1 + 0.1 * v if is_scale else 0.1 * v
    return v / math.sqrt(shape[0] if name == "text_projection" else shape[-1])


class Given(SharedPrompts):
    """Contexts that somebody else made."""

    vectors_of: Tensor

    def context(self, which: Tensor) -> Tensor:
        return self.vectors_of


@pytest.fixture
def tower() -> dict[str, Tensor]:
    return {key: torch.from_numpy(value) for key, value in np.load(DATA / "text_tower_seed0.npz").items()}


def test_prompted_features_are_the_authors(clip: Clip, tower: dict[str, Tensor]) -> None:
    prompts = Given(clip, ["photo", "disney"])
    prompts.vectors_of = tower["in_prompts"]
    for side, name in (("src", "photo"), ("tgt", "disney")):
        whole = tower[f"in_tokens_{side}"].long()
        row = prompts.names.index(name)
        assert torch.equal(prompts.ids[row], whole[0, : prompts.ids.shape[1]])
        found = prompts.encode(clip, torch.zeros(3, 1), name).double()
        wanted = tower[f"out_prompted_features_{side}"]
        torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4 * float(wanted.abs().max()))
        plain = clip.encode_texts([f"a photo of a {name}", f"a photo of a {name}."]).double()
        both = torch.cat([tower[f"out_plain_features_{side}"], tower[f"out_init_features_{side}"]])
        torch.testing.assert_close(plain, both, rtol=0, atol=1e-4 * float(both.abs().max()))


def test_the_prefixs_own_words_as_vectors_are_an_ordinary_text(clip: Clip) -> None:
    prompts = Given(clip, ["photo", "werewolf face"])
    prompts.vectors_of = prompts.words[0, 1:5][None]
    for name in prompts.names:
        found = prompts.encode(clip, torch.zeros(1, 1), name)
        torch.testing.assert_close(found, clip.encode_texts(f"a photo of a {name}"))


def test_the_mapper_is_the_authors(clip: Clip) -> None:
    golden = np.load(DATA / "losses_seed0.npz")
    prompts = LatentPrompts(tiny_clip(width=32), ["photo", "disney"])
    published = {}
    for number in range(1, 5):
        for part, factor in (("weight", 100.0), ("bias", 10.0)):
            shape = getattr(prompts.layers[number - 1], part).shape
            key = f"mapping.{number}.{part}"
            v = np.random.default_rng(zlib.crc32(f"mapper.{key}".encode())).standard_normal(tuple(shape))
            published[f"m.mapping.{key}"] = factor * torch.from_numpy(v.astype(np.float32))
    prompts.load_state_dict(prompts.from_published(published))
    found = prompts.context(torch.from_numpy(golden["in_mapper_w"])).double()
    wanted = torch.from_numpy(golden["out_mapper_prompts"])
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-4 * float(wanted.abs().max()))


def test_a_mapper_of_a_clip_of_another_width_is_refused(tmp_path: Path) -> None:
    """Read from a file, as ``weights=`` of a network does."""
    wide = LatentPrompts(tiny_clip(width=64), ["photo", "disney"], latent_dim=8)
    torch.save(
        {
            "m": {
                f"mapping.mapping.{i + 1}.{part}": getattr(layer, part).detach()
                for i, layer in enumerate(wide.layers)
                for part in ("weight", "bias")
            }
        },
        tmp_path / "mapper.pt",
    )
    narrow = LatentPrompts(tiny_clip(width=32), ["photo", "disney"], latent_dim=8)
    with pytest.raises(
        CheckpointError, match=r"mapper.pt.*gives 256 numbers, here are 4 vectors of 32.*another width"
    ):
        load_network_weights(narrow, tmp_path / "mapper.pt", "mapper")
    same = LatentPrompts(tiny_clip(width=64), ["photo", "disney"], latent_dim=8)
    load_network_weights(same, tmp_path / "mapper.pt", "mapper")
    assert torch.equal(same.layers[3].weight, wide.layers[3].weight)


def test_the_published_size() -> None:
    prompts = LatentPrompts(tiny_clip(width=512), ["photo", "disney"])
    assert sum(parameter.numel() for parameter in prompts.parameters()) == 1_838_592


def test_they_keep_the_contract(clip: Clip) -> None:
    latents = torch.randn(4, 8, generator=torch.Generator().manual_seed(0))
    testing.check_prompt_learner(LatentPrompts(clip, ["photo", "disney"], latent_dim=8), clip, latents)
    testing.check_prompt_learner(SharedPrompts(clip, ["photo", "disney"]), clip, latents)


def test_nearest_words_of_a_latents_prompt(clip: Clip) -> None:
    prompts = Given(clip, ["photo", "disney"])
    prompts.vectors_of = prompts.words[0, 1:5][None].clone()
    (slots,) = prompts.nearest_words(clip, which=torch.zeros(1, 1))
    assert [word for ((word, _),) in slots] == ["a", "photo", "of", "a"]
    with pytest.raises(ValueError, match="pass which="):
        prompts.nearest_words(clip)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(names=["photo", "photo"]), "equal, so there is no direction"),
        (dict(names=["photo", "  "]), "a label is empty"),
        (dict(names=["photo"]), "labels of both domains"),
        (dict(names="photo"), "labels of both domains"),
        (dict(prefix=""), "has no words"),
        (dict(prefix="a zxqwv of"), "'zxqwv' is [0-9]+ tokens"),
        (dict(names=["photo", "very " * 80]), "does not fit into CLIP's context of 77 tokens"),
        (dict(latent_dim=0), "latent_dim=0"),
    ],
)
def test_what_is_refused(clip: Clip, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LatentPrompts(clip, **{"names": ["photo", "disney"], **changes})


def test_another_clip_another_width_of_latents_another_name(clip: Clip) -> None:
    prompts = LatentPrompts(clip, ["photo", "disney"], latent_dim=8)
    latents = torch.zeros(2, 8)
    with pytest.raises(ValueError, match="each CLIP needs prompts of its own"):
        prompts.encode(tiny_clip(width=32), latents)
    with pytest.raises(ValueError, match="each CLIP needs prompts of its own"):
        prompts.encode(tiny_clip(seed=1), latents)
    with pytest.raises(ValueError, match=r"maps latents of 8 numbers, got \(2, 4\): set latent_dim=4"):
        prompts(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="name='dsney' must be one of photo, disney"):
        prompts(latents, "dsney")


def test_restore_takes_its_own_kind_alone(clip: Clip) -> None:
    prompts = LatentPrompts(clip, ["photo", "disney"], latent_dim=8)
    with pytest.raises(ValueError, match="kind='SharedPrompts'"):
        prompts.restore(SharedPrompts(clip, ["photo", "disney"]).export())
    other = LatentPrompts(clip, ["photo", "disney"], latent_dim=4)
    with pytest.raises(ValueError, match="do not fit"):
        prompts.restore(other.export())
