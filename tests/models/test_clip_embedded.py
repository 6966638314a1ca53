"""The shipped toy CLIP: whole, as its card says, and good enough to stand in for a real one on the embedded
data.
"""

from __future__ import annotations

import hashlib
import json

import pytest
import torch

from toolbox.data.base import to_tensor
from toolbox.data.drawn import DrawnPortraits
from toolbox.data.drawn_captions import STYLE_NAMES
from toolbox.data.drawn_styles import DRAWN_STYLES
from toolbox.data.embedded import EmbeddedEmoji, EmbeddedFashion
from toolbox.interfaces import FeatureExtractor
from toolbox.models.clip import Clip
from toolbox.models.clip_embedded import (
    CARD,
    PORTRAITS,
    WEIGHTS,
    EmbeddedClip,
    EmbeddedClipFeatures,
    EmbeddedViT,
    PortraitClip,
)
from toolbox.models.clip_embedded import VIT as VIT_WEIGHTS
from toolbox.models.clip_features import ClipFeatures
from toolbox.models.galip import GALIPDiscriminator

VIT = dict(
    embed_dim=16,
    vision_cfg=dict(layers=1, width=32, head_width=16, patch_size=8, image_size=32),
    text_cfg=dict(context_length=8, vocab_size=64, width=16, heads=2, layers=1),
)


@pytest.fixture(scope="module")
def clip() -> EmbeddedClip:
    return EmbeddedClip()


def images_of(source, numbers) -> torch.Tensor:
    return torch.stack([to_tensor(source.image(int(i))) for i in numbers])


def test_the_file_is_the_one_its_card_describes_and_small():
    card = json.loads(CARD.read_text(encoding="utf-8"))
    assert card["sha256"] == hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()
    assert WEIGHTS.stat().st_size < 8_000_000
    assert card["licence"] and card["trained"]["config"] == "configs/clip_embedded.py"
    assert card["metrics"]["fashion zero-shot"] > 0.8


def test_it_is_frozen_whole_and_takes_any_size(clip):
    assert not any(parameter.requires_grad for parameter in clip.parameters())
    assert clip.token_width == 48 and clip.context_length == 32 and clip.embedding_dim == 128
    assert clip.encode_images(torch.zeros(2, 3, 100, 100)).shape == (2, 128)
    assert clip.fingerprint() == EmbeddedClip().fingerprint() != EmbeddedClip(pretrained=False).fingerprint()


def test_it_names_fashion_classes_it_was_not_trained_on_the_images_of(clip):
    source = EmbeddedFashion("test")
    numbers = torch.arange(200) * 10  # every tenth image: 20 or so of each class
    texts = clip.encode_texts([f"a photo of a {name}" for name in source.classes], normalize=True)
    with torch.no_grad():
        found = (clip.encode_images(images_of(source, numbers), normalize=True) @ texts.T).argmax(dim=1)
    assert (found == torch.from_numpy(source.labels)[numbers]).float().mean() > 0.75  # 0.1 by chance


def test_it_finds_unseen_emoji_by_their_words_far_better_than_chance(clip):
    source = EmbeddedEmoji("test")
    texts = clip.encode_texts([", ".join(words[:5]) for words in source.captions], normalize=True)
    with torch.no_grad():
        scores = clip.encode_images(images_of(source, range(len(source))), normalize=True) @ texts.T
    among_five = (scores.topk(5).indices == torch.arange(len(source))[:, None]).any(dim=1).float().mean()
    assert among_five > 0.15  # 0.027 by chance


def test_prompts_can_be_learnt_through_it(clip):
    ids = clip.truncate(clip.tokenize("X X bag."))
    embeddings = clip.embed_tokens(ids).requires_grad_()
    clip.encode_embeddings(embeddings, ids).square().sum().backward()
    assert embeddings.grad.abs().sum() > 0
    assert clip.nearest_tokens(clip.embed_tokens(clip.tokenize("bag"))[0, 1:2])[0][0] == ("bag", 0.0)


def test_features_are_an_extractor_with_a_name_that_tells_it_is_the_toy():
    pooled, embedding = EmbeddedClipFeatures(), EmbeddedClipFeatures("embedding", normalize=True)
    images = torch.rand(3, 3, 32, 32) * 2 - 1
    assert isinstance(pooled, FeatureExtractor)
    assert (pooled.name, embedding.name) == ("toy-clip", "toy-clip-embedding")
    assert pooled(images).shape == (3, pooled.n_features) == (3, 384)
    assert torch.allclose(embedding(images).norm(dim=1), torch.ones(3)) and embedding.n_features == 128
    assert pooled.fingerprint() == EmbeddedClipFeatures().fingerprint() != embedding.fingerprint()
    assert not pooled.train().training
    torch.testing.assert_close(pooled(images)[:1], pooled(images[:1]), atol=1e-5, rtol=1e-4)


def test_features_of_any_clip():
    clip = Clip(VIT)
    features = ClipFeatures(clip, name="small")
    assert features.n_features == 16 and features.name == "small" and ClipFeatures(clip).name == "clip-custom"
    images = torch.rand(2, 3, 40, 40, requires_grad=True)
    features(images).square().sum().backward()
    assert images.grad.abs().sum() > 0
    with pytest.raises(ValueError, match="convolutional image encoder"):
        ClipFeatures(clip, layer="pooled")
    with pytest.raises(ValueError, match="layer='last' is not one of embedding, pooled"):
        ClipFeatures(clip, layer="last")


def test_the_transformer_reads_texts_alike_and_has_blocks_to_tap():
    clip, transformer = EmbeddedClip(), EmbeddedViT()
    card = json.loads(VIT_WEIGHTS.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["sha256"] == hashlib.sha256(VIT_WEIGHTS.read_bytes()).hexdigest()
    assert VIT_WEIGHTS.stat().st_size < 800_000
    texts = ["a photo of a bag", "an emoji of a fox"]
    ours, theirs = transformer.encode_texts(texts, True), clip.encode_texts(texts, True)
    assert ((ours * theirs).sum(1) > 0.9999).all()  # the same weights under quick-GELU
    assert not any(parameter.requires_grad for parameter in transformer.parameters())
    seen = GALIPDiscriminator(transformer, channels=2, taps=(1, 3, 5)).look(torch.zeros(2, 3, 32, 32))
    assert seen.taps.shape == (2, 3, 64, 4, 4) and seen.embedding.shape == (2, 128)


def test_codes_of_texts_are_its_features(clip):
    ids = clip.tokenize(["a photo of a bag", "an emoji of a fox"])
    codes = clip.encode_text(ids)
    assert torch.equal(codes.sentence, clip.encode_tokens(ids)) and codes.words is None


def test_the_transformer_names_fashion_classes():
    clip, source = EmbeddedViT(), EmbeddedFashion("test")
    numbers = torch.arange(200) * 10
    texts = clip.encode_texts([f"a photo of a {name}" for name in source.classes], normalize=True)
    with torch.no_grad():
        found = (clip.encode_images(images_of(source, numbers), normalize=True) @ texts.T).argmax(dim=1)
    assert (found == torch.from_numpy(source.labels)[numbers]).float().mean() > 0.6  # 0.1 by chance


# -- the toy CLIP of portraits -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def portraits() -> PortraitClip:
    return PortraitClip()


def test_the_portrait_clip_is_as_its_card_says_and_small(portraits):
    card = json.loads(PORTRAITS.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["sha256"] == hashlib.sha256(PORTRAITS.read_bytes()).hexdigest()
    assert PORTRAITS.stat().st_size < 2_500_000
    assert card["licence"] and card["trained"]["config"] == "configs/clip_portraits.py"
    assert card["metrics"]["style named, 79 sentences"] > 0.95
    assert portraits.short_name != EmbeddedClip.short_name
    assert ClipFeatures(portraits).name == "clip-toy-portrait-clip" != ClipFeatures(EmbeddedClip()).name
    assert not any(parameter.requires_grad for parameter in portraits.parameters())


def test_untrained_it_is_the_embedded_clip(clip, portraits):
    start = PortraitClip(pretrained=False)
    assert start.fingerprint() == clip.fingerprint() != portraits.fingerprint()
    word = clip.embed_tokens(clip.tokenize("fox"))  # of no caption: its row is as it was
    assert torch.equal(portraits.embed_tokens(clip.tokenize("fox"))[0, 1], word[0, 1])


def test_it_names_the_style_of_portraits_it_was_not_trained_on(portraits):
    data = DrawnPortraits("test", images=70, style=DRAWN_STYLES)
    texts = [f"a photo of a {STYLE_NAMES[style][0]}." for style in DRAWN_STYLES]
    codes = portraits.encode_texts(texts, normalize=True)
    found = (portraits.encode_images(images_of(data, range(70)), normalize=True) @ codes.T).argmax(dim=1)
    assert (found == torch.arange(70) % 7).float().mean() > 0.9  # 0.14 by chance


def test_words_and_images_lead_the_same_way(portraits):
    """From a drawing to another style of the same portrait: the direction that adaptation follows."""
    plain, comic = (DrawnPortraits("test", images=20, style=style) for style in ("as drawn", "comic"))
    drawn, other = (
        portraits.encode_images(images_of(data, range(20)), normalize=True) for data in (plain, comic)
    )
    start, *ends = portraits.encode_texts(["drawing", "comic", "neon sign"], normalize=True)
    right, wrong = (torch.cosine_similarity(other - drawn, (end - start)[None]).mean() for end in ends)
    assert right > 0.6 and right > wrong + 0.3


def test_its_nearest_words_are_those_of_its_captions(portraits):
    row = portraits.embed_tokens(portraits.tokenize("comic"))[0, 1:2]
    named = [text for text, _ in portraits.nearest_tokens(row, top=40)[0]]
    assert named[0] == "comic" and "fox" not in named and {"hat", "neon"} <= set(portraits_words(portraits))


def portraits_words(clip: PortraitClip) -> list[str]:
    return [clip._piece(int(token)) for token in clip._words.nonzero()]
