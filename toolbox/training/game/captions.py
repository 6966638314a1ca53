"""A conditioner of captions: fakes show what the real images' captions say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from toolbox.data.caption_stream import CaptionStream
from toolbox.data.vocabulary import ClipTokens, Tokens, Vocabulary, WordTokens, encode_texts
from toolbox.interfaces import Condition, Conditioner, Request, Sample
from toolbox.ranges import check_whole

SHOWN = 8  # captions that a picture has a row for


@lru_cache(maxsize=4)  # reading COCO's words takes 10 ms, and a sampler asks for each image
def _tokens(words: bytes, length: int) -> Tokens:
    """Of a vocabulary's bytes; none = CLIP's pieces."""
    if not words:
        return ClipTokens(length)
    return WordTokens(Vocabulary.from_bytes(torch.frombuffer(bytearray(words), dtype=torch.uint8)), length)


class CaptionConditions(Conditioner):
    """Captions as token ids, and as the codes that a frozen text encoder makes of them.

    In training the fakes carry the captions of the real images beside them. A sampler draws from ``bank``
    captions of the training set, or is asked in words; so does an evaluation. The vocabulary is part of
    checkpoints and releases.

    Args:
        text_encoder: network with ``encode_text(ids, lengths) -> TextCodes``
            (``uses=dict(text_encoder='text_encoder')``).
        bank: how many captions are kept to draw from, evenly spread over the training set.
        own_captions: False: fakes show captions of the bank, not those of the real batch.

    Raises:
        ValueError: for a network that encodes no text.
    """

    on_host = True
    grants = ("text",)
    ids: Tensor
    vocabulary: Tensor

    def __init__(self, text_encoder: Any, bank: int = 1024, own_captions: bool = True) -> None:
        super().__init__()
        check_whole(1, bank=bank)
        if not hasattr(text_encoder, "encode_text"):
            raise ValueError(
                f"text_encoder is a {type(text_encoder).__name__}, which has no encode_text(ids, lengths)"
            )
        self._encoder = (text_encoder,)  # in a tuple: borrowed networks are no submodules
        self.bank = bank
        self.own_captions = own_captions
        self.register_buffer("ids", torch.zeros(0, 0, dtype=torch.int64))  # (M, L), 0 after the last
        self.register_buffer("vocabulary", torch.zeros(0, dtype=torch.uint8))  # empty: CLIP's pieces

    def prepare(self, dataset: Any, game: Any) -> None:
        """Keep captions of the training set, and its vocabulary.

        Raises:
            ValueError: for data without captions.
        """
        if not isinstance(dataset, CaptionStream):
            raise ValueError(
                f"CaptionConditions needs a CaptionStream (or LabelPairs) as training data, not "
                f"{type(dataset).__name__}"
            )
        entries = np.linspace(0, len(dataset) - 1, min(self.bank, len(dataset))).astype(int)
        self.ids = torch.stack([dataset.caption(position, int(e)) for position, e in enumerate(entries)])
        words = dataset.tokens.vocabulary
        self.vocabulary = torch.zeros(0, dtype=torch.uint8) if words is None else words.to_bytes()

    @property
    def tokens(self) -> Tokens:
        """What turns texts into ids, and back.

        Raises:
            ValueError: before :meth:`prepare`, or loading.
        """
        if not len(self.ids):
            raise ValueError("no captions are known: prepare the conditioner, or load a checkpoint")
        return _tokens(self.vocabulary.cpu().numpy().tobytes(), self.ids.shape[1])

    def of_real(self, real: Sample, rng: torch.Generator) -> Condition | None:
        """The real images' own captions and labels."""
        return real.condition if self.own_captions else None

    def complete(self, condition: Condition) -> Condition:
        """With text codes, where there are token ids and no codes yet."""
        if condition.codes is not None or not isinstance(condition.text, Tensor):
            return condition
        return condition.replace(codes=self._encoder[0].encode_text(condition.text, None))

    def sample(self, n: int, rng: torch.Generator, labels: Tensor | None = None) -> Condition:
        """Captions of the bank."""
        if not len(self.ids):
            raise ValueError("no captions are known: prepare the conditioner, or load a checkpoint")
        return Condition(text=self.ids[torch.randint(len(self.ids), (n,), generator=rng)])

    def of_texts(self, texts: Sequence[str]) -> Condition:
        """One condition a text; unknown words are left out, see :meth:`in_words`.

        Raises:
            ValueError: for a text without a word that the vocabulary has.
        """
        return Condition(text=encode_texts(self.tokens, texts)[0])

    def in_words(self, condition: Condition) -> list[str]:
        """The captions; words that are not in the vocabulary are gone from them."""
        if not isinstance(condition.text, Tensor):
            return []
        tokens = self.tokens
        return [tokens.decode(row) for row in condition.text.cpu().tolist()]

    def requests(self) -> dict[str, dict[str, Request]]:
        """Some captions of the bank, by themselves."""
        if not len(self.ids):
            return {}
        rows = np.linspace(0, len(self.ids) - 1, min(SHOWN, len(self.ids))).astype(int)
        texts = self.in_words(Condition(text=self.ids[rows]))
        return {"text": {text: Request(text=text) for text in texts}}

    def fulfil(self, request: Request, n: int, rng: torch.Generator) -> Condition:
        """A text n times, or captions of the bank.

        Raises:
            ValueError: for a text of unknown words, or for anything but a text.
        """
        self.label_of(request)  # refuses what is not granted
        if request.text is None:
            return self.sample(n, rng)
        one: Condition = self.of_texts([request.text])
        repeated: Condition = one[torch.zeros(n, dtype=torch.int64)]
        return repeated

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        for name in ("ids", "vocabulary"):  # their lengths are the data's: take the saved ones
            saved = state_dict.get(prefix + name)
            if saved is not None:
                setattr(self, name, torch.zeros_like(saved, device="cpu"))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
