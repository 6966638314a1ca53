"""CLIP: the opened text path equals open_clip's own, weights come in strictly, traps are refused."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from toolbox.compat import import_torchvision
from toolbox.models.clip import Clip
from toolbox.models.clip_text import encode_embeddings, why_unsupported

TINY_TEXT = dict(context_length=77, vocab_size=49408, width=64, heads=2, layers=2)
TINY = dict(
    embed_dim=32,
    quick_gelu=True,
    text_cfg=TINY_TEXT,
    vision_cfg=dict(layers=2, width=64, head_width=32, patch_size=8, image_size=32),
)
CONTEXT = ["a", "photo", "of", "a"]


def tiny(seed: int = 0, **text) -> Clip:
    torch.manual_seed(seed)
    clip = Clip({**TINY, "text_cfg": {**TINY_TEXT, **text}})
    with torch.no_grad():  # the initial token table is too even for a strict comparison
        clip._token_table().normal_(std=0.3)
    return clip


def small(**changes) -> Clip:
    """A vocabulary of 512 with hand-made ids."""
    text = dict(context_length=16, vocab_size=512, width=32, heads=2, layers=2)
    return Clip({**TINY, "text_cfg": {**text, **changes.pop("text_cfg", {})}, **changes})


@pytest.fixture(scope="module")
def clip() -> Clip:
    return tiny()


def words(clip: Clip) -> torch.Tensor:
    """Embeddings (4, d) of the context words."""
    return clip.embed_tokens(clip.tokenize(" ".join(CONTEXT)))[0, 1:5]


def test_own_path_on_the_real_sentence_is_exact(clip):
    ids = clip.tokenize("a photo of a dog.")
    own = encode_embeddings(clip.model, clip.embed_tokens(ids), ids)
    assert torch.equal(own, clip.model.encode_text(ids))


@pytest.mark.parametrize(
    ("placeholder", "slots", "sentence"),
    [
        ("X X X X dog.", [1, 2, 3, 4], "a photo of a dog."),
        ("X X X X hot air balloon.", [1, 2, 3, 4], "a photo of a hot air balloon."),
        ("X X ice cream X X.", [1, 2, 5, 6], "a photo ice cream of a."),
        ("dog X X X X.", [2, 3, 4, 5], "dog a photo of a."),
    ],
    ids=["end", "end-long-name", "middle", "front"],
)
def test_placeholders_replaced_by_words_equal_the_sentence(clip, placeholder, slots, sentence):
    ids = clip.tokenize(placeholder)
    embeddings = clip.embed_tokens(ids).clone()
    embeddings[0, slots] = words(clip)
    full = clip.model.encode_text(clip.tokenize(sentence))
    torch.testing.assert_close(clip.encode_embeddings(embeddings, ids), full, atol=1e-5, rtol=0)
    short = clip.truncate(ids)
    torch.testing.assert_close(
        clip.encode_embeddings(embeddings[:, : short.shape[1]], short), full, atol=1e-5, rtol=0
    )


def test_texts_are_truncated_and_equal_open_clips(clip):
    texts = ["a dog", "a photo of a very long red hot air balloon", "ice"]
    ids = clip.tokenize(texts)
    assert clip.truncate(ids).shape == (3, 12)
    torch.testing.assert_close(clip.encode_texts(texts), clip.model.encode_text(ids), atol=1e-5, rtol=0)
    assert torch.allclose(clip.encode_texts(texts, normalize=True).norm(dim=1), torch.ones(3))


@pytest.mark.parametrize(
    "change",
    [dict(proj_bias=True), dict(proj_type="none"), dict(pool_type="eos", eos_id=49407)],
    ids=["linear", "none", "eos"],
)
def test_projection_and_pooling_kinds(change):
    clip = tiny(**change)
    ids = clip.tokenize(["a dog", "a photo of a cat"])
    torch.testing.assert_close(clip.encode_tokens(ids), clip.model.encode_text(ids), atol=1e-5, rtol=0)


def test_custom_text_clip_keeps_its_text_tower_apart():
    clip = small(custom_text=True)
    ids = torch.tensor([[1, 7, 9, 511] + [0] * 12])
    assert clip.token_width == 32
    torch.testing.assert_close(clip.encode_tokens(ids), clip.model.encode_text(ids), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (dict(pool_type="last"), "pools with 'last'"),
        (dict(embed_cls=True), "class token"),
        (dict(no_causal_mask=True), "both directions"),
    ],
)
def test_towers_where_truncation_would_be_wrong_are_refused(text, message):
    clip = small(custom_text=True, text_cfg=text)
    ids = torch.tensor([[1, 7, 511] + [0] * 13])
    with pytest.raises(NotImplementedError, match=message):
        clip.encode_embeddings(clip.embed_tokens(ids), ids)
    assert message in str(why_unsupported(clip.model))
    if "embed_cls" not in text:  # plain texts still go through open_clip's own path
        assert torch.equal(clip.encode_tokens(ids), clip.model.encode_text(ids))


def test_gradients_reach_only_the_context_and_the_pixels(clip):
    ids = clip.truncate(clip.tokenize("X X X X dog."))
    context = words(clip).clone().requires_grad_()
    fixed = clip.embed_tokens(ids)
    prompt = torch.cat([fixed[:, :1], context[None], fixed[:, 5:]], dim=1)
    images = torch.zeros(1, 3, 20, 20, requires_grad=True)
    (clip.encode_embeddings(prompt, ids).sum() + clip.encode_images(images).square().sum()).backward()
    assert context.grad.abs().sum() > 0 and images.grad.abs().sum() > 0
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in clip.parameters())


def test_frozen_stays_in_eval_mode_and_unfrozen_does_not(clip):
    assert not clip.train().training and not clip.model.training
    free = Clip(TINY, frozen=False).train()
    assert free.model.training and all(parameter.requires_grad for parameter in free.parameters())


def test_images_are_scaled_resized_and_normalised_as_open_clip_does(clip):
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    mean, std = (torch.tensor(value).view(1, 3, 1, 1) for value in (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD))
    expected = clip.model.encode_image(((images + 1) / 2 - mean) / std)
    assert torch.equal(clip(images), expected)
    large = images.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(clip(large), expected, atol=1e-5, rtol=1e-5)  # halving undoes doubling
    assert clip.encode_images(torch.zeros(1, 3, 50, 40)).shape == (1, 32)
    assert torch.allclose(clip.encode_images(images, normalize=True).norm(dim=1), torch.ones(2))
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\)"):
        clip(images[:, :1])


@pytest.mark.parametrize("shape", [(50, 40), (33, 77), (20, 31), (32, 32)])
@pytest.mark.parametrize("resize", ["bicubic", "bicubic-antialias", "antialias"])
def test_resized_and_cropped_as_torchvision_does(resize, shape):
    import_torchvision()
    from torchvision.transforms import v2

    cropping = Clip(small().config, resize=resize, crop=True)
    images = torch.rand(2, 3, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mode = v2.InterpolationMode.BICUBIC if "bicubic" in resize else v2.InterpolationMode.BILINEAR
    steps = [
        v2.Resize(32, mode, antialias="antialias" in resize),
        v2.CenterCrop(32),
        v2.Normalize(cropping.mean.flatten().tolist(), cropping.std.flatten().tolist()),
    ]
    torch.testing.assert_close(cropping.preprocess(images), v2.Compose(steps)((images + 1) / 2))


def test_without_a_crop_images_are_squeezed_and_all_of_it_tells_networks_apart(clip):
    images = torch.rand(1, 3, 48, 64)
    squeezed = Clip(small().config, resize="bicubic").preprocess(images)
    expected = F.interpolate((images + 1) / 2, (32, 32), mode="bicubic", align_corners=False)
    assert torch.equal(squeezed, (expected - clip.mean) / clip.std)
    ways = [(resize, crop) for resize in ("bicubic", "area") for crop in (True, False)]
    made = [Clip(small().config, resize=resize, crop=crop) for resize, crop in ways]
    for other in made[1:]:
        other.load_state_dict(made[0].state_dict())
    assert len({other.fingerprint() for other in made}) == 4


def test_nearest_tokens_name_the_words_themselves_first(clip):
    names = clip.nearest_tokens(words(clip), top=3)
    assert [row[0] for row in names] == [(word, 0.0) for word in CONTEXT]
    assert all(text.isalpha() for row in names for text, _ in row)
    distances = [distance for _, distance in names[0]]
    assert distances == sorted(distances) and len(distances) == 3
    comma = clip.embed_tokens(clip.tokenize(","))[0, 1:2]
    assert clip.nearest_tokens(comma, words_only=False)[0][0] == (",", 0.0)
    assert clip.nearest_tokens(comma)[0][0][1] > 0
    with pytest.raises(ValueError, match=r"vectors must be \(N, 64\)"):
        clip.nearest_tokens(torch.zeros(3))


def test_prompt_shapes_are_checked(clip):
    ids = clip.tokenize("dog")
    embeddings = clip.embed_tokens(ids)
    with pytest.raises(ValueError, match=r"\(N, L, 64\)"):
        clip.encode_embeddings(embeddings[..., :5], ids)
    with pytest.raises(ValueError, match="layout"):
        clip.encode_embeddings(embeddings[:, :9], ids)
    with pytest.raises(ValueError, match="context_length=77"):
        clip.encode_embeddings(embeddings.repeat(1, 2, 1), ids.repeat(1, 2))


def test_short_vocabularies_take_ids_but_no_texts():
    with pytest.raises(ValueError, match="vocabulary of 512"):
        small().encode_texts(["a dog"])


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_weights_from_a_file(tmp_path, suffix):
    source, path = small(), tmp_path / f"weights{suffix}"
    state = source.model.state_dict()
    if suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, path)
    config = {**TINY, "text_cfg": source.config["text_cfg"]}
    loaded = Clip(config, weights=path)
    assert loaded.fingerprint() == source.fingerprint()
    assert Clip(config, weights=path, resize="area").fingerprint() != source.fingerprint()
    assert small().fingerprint() != source.fingerprint()


def test_flat_weights_load_into_a_separate_text_tower(tmp_path):
    source = small()
    save_file(source.model.state_dict(), tmp_path / "flat.safetensors")
    config = {**TINY, "text_cfg": source.config["text_cfg"], "custom_text": True}
    loaded = Clip(config, weights=tmp_path / "flat.safetensors")
    ids = torch.tensor([[1, 7, 511] + [0] * 13])
    torch.testing.assert_close(loaded.encode_tokens(ids), source.encode_tokens(ids))


def test_unfit_weights_are_refused_with_a_list(tmp_path):
    state = small().model.state_dict()
    state["surprise"] = state.pop("ln_final.weight")
    state["text_projection"] = torch.zeros(2, 2)
    save_file(state, tmp_path / "bad.safetensors")
    problems = r"missing: ln_final\.weight; unexpected: surprise; shape: text_projection is \(2, 2\)"
    with pytest.raises(ValueError, match=problems):
        Clip({**TINY, "text_cfg": small().config["text_cfg"]}, weights=tmp_path / "bad.safetensors")


def test_files_with_code_inside_are_refused(tmp_path):
    torch.save({"state_dict": small()}, tmp_path / "code.pt")
    (tmp_path / "torn.pt").write_bytes(b"PK\x03\x04 nothing")
    (tmp_path / "torn.safetensors").write_bytes(b"nothing")
    problems = {
        "code.pt": r"asks for the name toolbox\.models\.clip\.Clip, which weights never need",
        "torn.pt": "is damaged",
        "torn.safetensors": "is no weights file, or torn",
    }
    for name, problem in problems.items():
        with pytest.raises(ValueError, match=problem):
            Clip(TINY, weights=tmp_path / name)
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ValueError, match="holds no tensors"):
        Clip(TINY, weights=tmp_path / "list.pt")


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_torchscript_archives_are_read_without_running_them(tmp_path):
    """OpenAI's own files are such archives."""
    source = small()
    source.model.attn_mask = source.model._buffers.pop("attn_mask")  # not part of OpenAI's state dict
    torch.jit.trace(source.model, (torch.zeros(1, 3, 32, 32), torch.zeros(1, 16, dtype=torch.long))).save(
        tmp_path / "open.pt"
    )
    assert (
        Clip({**TINY, "text_cfg": source.config["text_cfg"]}, weights=tmp_path / "open.pt").fingerprint()
        == source.fingerprint()
    )


def test_quick_gelu_trap_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="ViT-B-32-quickgelu"):
        Clip("ViT-B-32", weights="openai")
    state = {**small().model.state_dict(), "input_resolution": torch.tensor(32)}
    save_file(state, tmp_path / "release.safetensors")
    config = {**TINY, "text_cfg": small().config["text_cfg"]}
    with pytest.raises(ValueError, match="quick-GELU activations, but architecture='custom' uses GELU"):
        Clip({**config, "quick_gelu": False}, weights=tmp_path / "release.safetensors")
    assert Clip(config, weights=tmp_path / "release.safetensors").embedding_dim == 32


def test_names_and_tags_are_checked(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ValueError, match="did you mean 'ViT-B-32'"):
        Clip("ViT-B-33x")
    with pytest.raises(ValueError, match=r"lacks \['embed_dim'\]"):
        Clip(dict(vision_cfg={}, text_cfg={}))
    with pytest.raises(ValueError, match="resize='cubic' is not one of bilinear, area, antialias"):
        Clip(TINY, resize="cubic")
    with pytest.raises(FileNotFoundError, match="no such file, and no open_clip tag"):
        Clip(TINY, weights=tmp_path / "absent.safetensors")


@pytest.mark.parametrize("download", [False, True])
def test_tags_are_not_downloaded_unasked_or_offline(monkeypatch, download):
    from toolbox.models.clip_weights import find_weights

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(FileNotFoundError, match="HF_HUB_OFFLINE is set" if download else "download=False"):
        find_weights("laion2b_s34b_b79k", "ViT-B-32", quick_gelu=False, download=download)
    with pytest.raises(FileNotFoundError, match="did you mean 'openai'"):
        find_weights("opnai", "ViT-B-32", quick_gelu=False, download=download)
