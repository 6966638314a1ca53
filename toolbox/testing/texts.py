"""Captions for the checks: a condition with codes, small networks that read them, a real batch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.interfaces import Condition, Discriminator, Generator, Sample, TextCodes
from toolbox.testing.common import random_sample, require, rng

SIZE = 8  # pixels
CODE = 8  # numbers in a code
LENGTH = 5  # words of the longest caption
TOKENS = 12  # of the vocabulary, 0 among them
CLASSES = 3


def random_texts(
    n: int = 4, code_dim: int = CODE, seed: int = 0, text_encoder: nn.Module | None = None
) -> Condition:
    """n captions of 1 to 5 words: ``labels``, token ids as ``text`` (n, 5), and ``codes`` of them.

    Args:
        n: how many; no two are alike, and each label comes twice or more from 6 on.
        code_dim: width of the codes.
        seed: of everything.
        text_encoder: makes the codes (``encode_text(ids, lengths)``); None = random ones.
    """
    draw = rng(seed)
    lengths = torch.randint(1, LENGTH + 1, (n,), generator=draw)
    lengths[:2] = torch.tensor([LENGTH, 1])[:n]  # the longest and the shortest are there
    present = torch.arange(LENGTH)[None] < lengths[:, None]
    ids = torch.randint(1, TOKENS, (n, LENGTH), generator=draw) * present
    codes = TextCodes(
        torch.randn(n, code_dim, generator=draw),
        torch.randn(n, code_dim, LENGTH, generator=draw) * present[:, None],
        lengths,
    )
    if text_encoder is not None:
        with torch.no_grad():
            codes = text_encoder.encode_text(ids, lengths)  # type: ignore[operator]
    return Condition(labels=torch.arange(n) % CLASSES, text=ids, codes=codes)


def text_sample(n: int = 6, image_size: int = SIZE, seed: int = 0) -> Sample:
    """n random images in [-1, 1] with captions, coded by the text encoder of :func:`text_networks`."""
    texts = random_texts(n, seed=seed, text_encoder=text_networks()["text_encoder"])
    images = random_sample(n, image_size, CLASSES, seed).images
    return Sample(images, texts, index=torch.arange(n))


def text_networks() -> dict[str, nn.Module]:
    """'generator', 'discriminator', 'text_encoder' and 'image_encoder' for 8-pixel images with captions.

    Their codes are of 8 numbers; they are equal at every call.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return dict(
            generator=SmallTextGenerator(),
            discriminator=SmallTextDiscriminator(),
            text_encoder=SmallTextEncoder(),
            image_encoder=SmallImageEncoder(),
        )


class SmallTextGenerator(Generator):
    """8-pixel images of 4 latents and a sentence's code."""

    def __init__(self) -> None:
        super().__init__()
        self.latent_dim, self.image_size = 4, SIZE
        self.start = nn.Linear(self.latent_dim + CODE, 8 * 4 * 4)
        self.end = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        """Images of latents (N, 4) and ``condition.codes``."""
        sentence = latents.new_zeros(len(latents), CODE) if condition is None else _codes(condition).sentence
        hidden = self.start(torch.cat([latents, sentence], dim=1)).unflatten(1, (8, 4, 4)).relu()
        return self.end(F.interpolate(hidden, scale_factor=2)).tanh()


class SmallTextDiscriminator(Discriminator):
    """Logits of 8-pixel images, projected on the sentence; unconditional ones without codes."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, CODE, 3, stride=2, padding=1)
        self.linear = nn.Linear(CODE, 1)

    def encode(self, images: Tensor) -> Tensor:
        """(N, 8)."""
        return F.softplus(self.convolution(images)).mean(dim=(2, 3))

    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        """Unconditional logit plus projection."""
        logits: Tensor = self.linear(features).squeeze(1)
        if condition is None or condition.codes is None:
            return logits
        return logits + (condition.codes.sentence * features).sum(dim=1)


class SmallTextEncoder(nn.Module):
    """Codes of token ids: a table's rows, and their mean."""

    def __init__(self) -> None:
        super().__init__()
        self.code_dim = CODE
        self.table = nn.Embedding(TOKENS, CODE)

    def encode_text(self, ids: Tensor, lengths: Tensor | None = None) -> TextCodes:
        """Codes of ids (N, L); 0 is no word."""
        lengths = (ids != 0).sum(dim=1) if lengths is None else lengths
        words = self.table(ids) * (ids != 0)[..., None]
        return TextCodes(words.sum(dim=1) / lengths[:, None], words.transpose(1, 2), lengths)


class SmallImageEncoder(nn.Module):
    """Codes of images, and of their 4 x 4 regions."""

    def __init__(self) -> None:
        super().__init__()
        self.code_dim, self.image_size = CODE, SIZE
        self.convolution = nn.Conv2d(3, CODE, 3, stride=2, padding=1)

    def encode_images(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """(codes (N, 8), regions (N, 8, 4, 4)) of images (N, 3, 8, 8)."""
        regions = self.convolution(images)
        return F.softplus(regions).mean(dim=(2, 3)), regions


def other_texts(condition: Condition) -> Condition:
    """The captions of the next rows."""
    codes = condition.codes
    return condition.replace(codes=None if codes is None else codes.map(lambda value: value.roll(1, 0)))


def beyond_the_end(condition: Condition) -> Condition:
    """The same captions; other numbers stand where there is no word."""
    codes = condition.codes
    if codes is None or codes.words is None or codes.lengths is None:
        return condition
    words = codes.words.where(codes.mask[:, None], 7.0)
    return condition.replace(codes=codes.replace(words=words))


def _codes(condition: Condition) -> TextCodes:
    require(condition.codes is not None, "a condition without codes: pass one that has them (random_texts)")
    assert condition.codes is not None
    return condition.codes
