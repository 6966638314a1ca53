"""A network of images and texts as a feature extractor that encodes captions too."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from toolbox.interfaces import Condition, FeatureExtractor
from toolbox.metrics.extractors.text_to_image import PREPROCESSING, check_preprocessing
from toolbox.weights.fingerprint import fingerprint

OfTexts = Callable[[Sequence[str]], Condition]
_READERS = ("encode_text", "encode_texts", "encode_tokens")  # how networks encode captions


class EncoderFeatures(FeatureExtractor):
    """Codes of images, and of their captions in the same space.

    Args:
        encoder: network with ``encode_images(images) -> codes (N, D)``, or ``(codes, regions)``: a CLIP, the
            image encoder of DAMSM; an extractor that holds a CLIP (``ClipFeatures``); or the config of one.
        text_encoder: network with ``encode_text(ids, lengths)``, ``encode_tokens(ids)`` or
            ``encode_texts(list)``, or its config. None: ``encoder`` where it has one of them, else
            ``condition.codes``.
        preprocessing: how images are brought to the ``image_size`` of the encoder before it sees them,
            'plain' or 'galip_legacy'; None leaves it to the encoder.
        name: what metrics are called by; default by the encoder.
        vocabulary: by whose numbers a ``text_encoder`` of words reads texts: a data set that came with one
            (CUB, COCO), or its config.
        of_texts: makes a condition with ids of texts, where there is no ``vocabulary``: the game's.

    Raises:
        ValueError: for a network that encodes no images, an unknown preprocessing, or a vocabulary of another
            size than the encoder's.
    """

    def __init__(
        self,
        encoder: nn.Module | Mapping[str, Any],
        text_encoder: nn.Module | Mapping[str, Any] | None = None,
        preprocessing: str | None = None,
        name: str | None = None,
        vocabulary: Any = None,
        of_texts: OfTexts | None = None,
    ) -> None:
        super().__init__()
        self.encoder: Any = _unwrapped(_built(encoder))
        if not hasattr(self.encoder, "encode_images"):
            raise ValueError(
                f"encoder is a {type(self.encoder).__name__}, which has no encode_images: give a CLIP "
                "(dict(type='Clip', ...)), or the image encoder of a text-to-image game"
            )
        self.preprocessing = None if preprocessing is None else check_preprocessing(preprocessing)
        if preprocessing is not None and not hasattr(self.encoder, "image_size"):
            raise ValueError(
                f"preprocessing={preprocessing!r} needs an encoder with an image_size; "
                f"{type(self.encoder).__name__} has none: preprocessing=None leaves it to the encoder"
            )
        reads = any(hasattr(self.encoder, method) for method in _READERS)
        own = self.encoder if reads else None
        self.text_encoder: Any = own if text_encoder is None else _built(text_encoder)
        self.name = name or _name_of(self.encoder)
        self.vocabulary = None if vocabulary is None else _words(vocabulary, self.text_encoder)
        self.of_texts = of_texts

    @property
    def n_features(self) -> int:  # type: ignore[override]
        """Length of a code, where the encoder says it."""
        return int(getattr(self.encoder, "code_dim", None) or self.encoder.embedding_dim)

    def forward(self, images: Tensor) -> Tensor:
        """Codes (N, D) float32 of images (N, 3, H, W) in [-1, 1]."""
        if self.preprocessing is not None:
            size = self.encoder.image_size
            height_width = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
            images = PREPROCESSING[self.preprocessing](images, height_width)
        found = self.encoder.encode_images(images)
        return (found[0] if isinstance(found, tuple) else found).float()

    @torch.no_grad()
    def captions(self, condition: Condition) -> Tensor:
        """Codes (N, D) float32 of the captions of N images.

        Raises:
            ValueError: when there are none, or in a form that the text encoder does not read.
        """
        if self.text_encoder is not None and condition.text is not None:
            return self._encoded(condition.text).float()
        if condition.codes is not None:
            return condition.codes.sentence.float()
        raise ValueError(
            "the images have no captions: condition.text and condition.codes are None"
            if self.text_encoder is not None or condition.text is None
            else f"{type(self.encoder).__name__} encodes no captions: give a text_encoder"
        )

    def _encoded(self, text: Tensor | list[str]) -> Tensor:
        network = self.text_encoder
        if not isinstance(text, Tensor):
            if hasattr(network, "encode_texts"):
                return network.encode_texts(text)
            text = self._ids(text)
        ids = text.to(next(network.parameters()).device)
        if hasattr(network, "encode_text"):
            return network.encode_text(ids, None).sentence
        return network.encode_tokens(ids)

    def _ids(self, texts: Sequence[str]) -> Tensor:
        """Token ids (N, L) of texts, 0 after the last."""
        if self.vocabulary is None:
            ids = None if self.of_texts is None else self.of_texts(texts).text
            if not isinstance(ids, Tensor):
                name = type(self.text_encoder).__name__
                raise ValueError(f"{name} reads token ids (N, L), the captions are text: give its vocabulary")
            return ids
        rows = [torch.as_tensor(self.vocabulary.encode(text)) for text in texts]
        bare = next((text for text, row in zip(texts, rows, strict=True) if not len(row)), None)
        if bare is not None:
            raise ValueError(f"{bare!r} has no word that the vocabulary knows")
        return pad_sequence(rows, batch_first=True)

    def fingerprint(self) -> str:
        """sha256 of weights and preprocessing; computed once."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        networks = [self.encoder]
        if self.text_encoder is not None and self.text_encoder is not self.encoder:
            networks.append(self.text_encoder)
        parts = [_digest_of(network) for network in networks]
        return hashlib.sha256(f"{' '.join(parts)} {self.preprocessing}".encode()).hexdigest()


def _digest_of(network: Any) -> str:
    return str(network.fingerprint()) if hasattr(network, "fingerprint") else fingerprint(network)


def _words(vocabulary: Any, network: Any) -> Any:
    """Something with ``encode(text) -> ids``, of as many words as the network has."""
    known = _built(vocabulary)
    known = getattr(known, "vocabulary", None) or known
    if not hasattr(known, "encode"):
        title = getattr(known, "title", type(known).__name__)
        raise ValueError(
            f"vocabulary: {title} came without numbers of words; CubCaptions and CocoCaptions have them"
        )
    size = getattr(network, "n_tokens", None)
    if size is not None and size != len(known):
        raise ValueError(
            f"vocabulary has {len(known):,} words, {type(network).__name__} was trained on {size:,}: they do "
            "not belong together"
        )
    return known


def _unwrapped(encoder: Any) -> Any:
    """The CLIP inside an extractor of its features."""
    return encoder if hasattr(encoder, "encode_images") else getattr(encoder, "clip", encoder)


def _name_of(encoder: Any) -> str:
    known = getattr(encoder, "short_name", None)
    if known:
        return str(known)
    architecture = getattr(encoder, "architecture", None)
    return type(encoder).__name__ if architecture is None else f"clip-{architecture}"


def _built(network: Any) -> Any:
    from toolbox.registry import build

    return build(network)
