"""CLIP through open_clip: any of its architectures, with the text path opened up for learnt prompts.

Learning Transferable Visual Models From Natural Language Supervision (Radford et al. 2021).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.compat import clip_tokenizer
from toolbox.interfaces import TextCodes
from toolbox.models import clip_text
from toolbox.models.clip_weights import (
    architecture_config,
    build_model,
    find_weights,
    load_strictly,
    read_state_dict,
)

RESIZE_MODES = ("bilinear", "area", "antialias", "bicubic", "bicubic-antialias")
CLIP_VOCABULARY = 49408


class Clip(nn.Module):
    """Image and text encoders that share one space.

    Args:
        architecture: open_clip name, a ``.json`` file in its configuration layout, or that layout as a dict.
        weights: a file (safetensors, or a PyTorch state dict), a tag of open_clip ('openai'), or None for
            random ones. OpenAI's weights need the '-quickgelu' architectures; the plain ones are refused.
        resize: how images are brought to the network's size: 'bilinear' (align_corners False), 'area' (as
            vision-aided GAN does), 'antialias' (bilinear with antialiasing, for strong reductions),
            'bicubic-antialias' (CLIP's own preprocessing), or 'bicubic' (the same without antialiasing, as
            torchvision did with tensors before 0.17). Neither is clamped.
        crop: bring the shorter side to the network's size and cut out the middle, as CLIP's own
            preprocessing does; without it images that are not of the network's shape are squeezed.
        frozen: no parameter asks for gradients, and ``train()`` leaves the network in eval mode. Gradients
            still reach images and token embeddings.
        download: allow fetching a tag's weights; without it only the local cache is looked at.

    Attributes:
        architecture: name, for messages.
        embedding_dim: width of the common space.
        image_size: (height, width) that the image encoder takes.
        context_length: longest token row.
        token_width: width of token embeddings.

    Raises:
        ValueError: unknown architecture, unfit weights, a wrong activation for the weights, an unknown
            resize.
        FileNotFoundError: weights that are neither a file nor a tag, or not on this machine.
    """

    model: Any  # open_clip's CLIP, CustomTextCLIP or CoCa
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        architecture: str | Mapping[str, Any] = "ViT-B-32-quickgelu",
        weights: str | os.PathLike[str] | None = None,
        resize: str = "bilinear",
        frozen: bool = True,
        download: bool = False,
        crop: bool = False,
    ) -> None:
        super().__init__()
        if resize not in RESIZE_MODES:
            raise ValueError(f"resize={resize!r} is not one of {', '.join(RESIZE_MODES)}")
        self.config, self.architecture = architecture_config(architecture)
        self.resize = resize
        self.crop = crop
        self.frozen = frozen
        self.embedding_dim = int(self.config["embed_dim"])
        quick_gelu = bool(self.config.get("quick_gelu", False))
        path: Path | None = None
        known: dict[str, Any] = {}  # what open_clip knows of the preprocessing
        if weights is not None:
            path, known = find_weights(weights, self.architecture, quick_gelu, download)
        self.model = build_model(self.config)
        if path is not None:
            load_strictly(self.model, read_state_dict(path), str(path), self.architecture, quick_gelu)
        self._register_normalisation(known)
        if frozen:
            self.requires_grad_(False)
        self.train()

    def _register_normalisation(self, known: Mapping[str, Any]) -> None:
        from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

        for name, default in (("mean", OPENAI_DATASET_MEAN), ("std", OPENAI_DATASET_STD)):
            value = torch.tensor(known.get(name, default)).view(1, 3, 1, 1)
            self.register_buffer(name, value, persistent=False)

    def train(self, mode: bool = True) -> Clip:
        """Switch modes; a frozen network stays in eval mode."""
        return super().train(mode and not self.frozen)

    @property
    def image_size(self) -> tuple[int, int]:
        """(height, width) of the image encoder's input."""
        size = self.model.visual.image_size
        return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))

    @property
    def context_length(self) -> int:
        """Longest token row."""
        return int(clip_text.text_tower(self.model).context_length)

    @property
    def token_width(self) -> int:
        """Width of token embeddings."""
        return int(self._token_table().shape[1])

    @property
    def logit_scale(self) -> Tensor:
        """Scalar log(1 / temperature) of the contrastive loss; its exp is the factor of similarities."""
        return self.model.logit_scale

    # images

    def forward(self, images: Tensor) -> Tensor:
        """Image features (N, embedding_dim); see :meth:`encode_images`."""
        return self.encode_images(images)

    def encode_images(self, images: Tensor, normalize: bool = False) -> Tensor:
        """Features (N, embedding_dim) of images (N, 3, H, W) in [-1, 1]; differentiable."""
        features = self.model.visual(self.preprocess(images))
        if isinstance(features, tuple):  # CoCa gives its tokens as well
            features = features[0]
        return F.normalize(features, dim=-1) if normalize else features

    def preprocess(self, images: Tensor) -> Tensor:
        """Images (N, 3, H, W) in [-1, 1] as the image encoder wants them: its size, mean and deviation."""
        if images.ndim != 4 or images.shape[1] != 3:
            raise ValueError(f"images must be (N, 3, H, W), got {tuple(images.shape)}")
        return (self._to_image_size((images + 1) / 2) - self.mean) / self.std

    def _to_image_size(self, images: Tensor) -> Tensor:
        rows, columns = self.image_size
        height, width = images.shape[-2:]
        if (height, width) == (rows, columns):
            return images
        if not self.crop:
            return self._resized(images, (rows, columns))
        if rows * width > columns * height:
            size = rows, int(rows * width / height)
        else:
            size = int(columns * height / width), columns
        top, left = (round((side - kept) / 2) for side, kept in zip(size, (rows, columns), strict=True))
        return self._resized(images, size)[..., top : top + rows, left : left + columns]

    def _resized(self, images: Tensor, size: tuple[int, int]) -> Tensor:
        if self.resize == "area":
            return F.interpolate(images, size=size, mode="area")
        mode = "bicubic" if self.resize.startswith("bicubic") else "bilinear"
        antialias = self.resize.endswith("antialias")
        return F.interpolate(images, size, mode=mode, align_corners=False, antialias=antialias)

    # text

    @property
    def tokenizer(self) -> Any:
        """open_clip's tokenizer of this architecture; CLIP's own works offline, others may need files."""
        import open_clip

        if open_clip.get_model_config(self.architecture) is not None:
            return _tokenizer_of(self.architecture)
        size = clip_text.text_tower(self.model).vocab_size
        if size != CLIP_VOCABULARY:
            raise ValueError(
                f"no tokenizer for a vocabulary of {size} tokens (CLIP's has {CLIP_VOCABULARY}): "
                "pass token ids"
            )
        return clip_tokenizer(self.context_length)

    def tokenize(self, texts: str | Sequence[str]) -> Tensor:
        """Token ids (N, context_length) int64: start, pieces, end, zeros; too long texts keep their end."""
        return self.tokenizer([texts] if isinstance(texts, str) else list(texts))

    def encode_texts(self, texts: str | Sequence[str], normalize: bool = False) -> Tensor:
        """Features (N, embedding_dim) of texts; unit length if ``normalize``."""
        return self.encode_tokens(self.tokenize(texts).to(self._token_table().device), normalize)

    def encode_tokens(self, ids: Tensor, normalize: bool = False) -> Tensor:
        """Features (N, embedding_dim) of token ids (N, context_length), up to the longest text only."""
        if clip_text.why_unsupported(self.model):
            return self.model.encode_text(ids, normalize=normalize)
        ids = self.truncate(ids)
        return self.encode_embeddings(self.embed_tokens(ids), ids, normalize)

    def encode_text(self, ids: Tensor, lengths: Tensor | None = None) -> TextCodes:
        """Sentence codes (N, embedding_dim) of token ids (N, L), as they are: not of unit length.

        The end-of-text token says where a text ends: ``lengths`` is unused.
        """
        return TextCodes(self.encode_tokens(ids))

    def truncate(self, ids: Tensor) -> Tensor:
        """Token ids (N, L) cut after the last end-of-text token: the same features at less cost."""
        return ids[:, : int(clip_text.end_positions(self.model, ids).max()) + 1]

    def embed_tokens(self, ids: Tensor) -> Tensor:
        """Rows of the token table: ids (N, L) -> (N, L, token_width)."""
        return F.embedding(ids, self._token_table())

    def encode_embeddings(self, embeddings: Tensor, ids: Tensor, normalize: bool = False) -> Tensor:
        """Text features (N, embedding_dim) from token embeddings, differentiable in them.

        Args:
            embeddings: (N, L, token_width) whole prompts, L up to ``context_length``; learnt vectors may
                stand in place of words. L may be cut to the longest prompt.
            ids: (N, L) int64 of the same layout (placeholders where vectors are learnt): tells where the text
                ends.
            normalize: scale features to unit length.

        Raises:
            ValueError: shapes that do not agree.
            NotImplementedError: a text tower whose pooling or attention does not allow it.
        """
        reason = clip_text.why_unsupported(self.model)
        if reason:
            raise NotImplementedError(
                f"architecture={self.architecture!r} cannot encode token embeddings: {reason}. "
                "Use a CLIP with causal attention and end-of-text pooling, such as 'ViT-B-32-quickgelu'."
            )
        self._check_prompt(embeddings, ids)
        features = clip_text.encode_embeddings(self.model, embeddings, ids)
        return F.normalize(features, dim=-1) if normalize else features

    def _check_prompt(self, embeddings: Tensor, ids: Tensor) -> None:
        if embeddings.ndim != 3 or embeddings.shape[2] != self.token_width:
            raise ValueError(f"embeddings must be (N, L, {self.token_width}), got {tuple(embeddings.shape)}")
        if tuple(ids.shape) != tuple(embeddings.shape[:2]):
            raise ValueError(
                f"ids {tuple(ids.shape)} must have the layout of embeddings {tuple(embeddings.shape[:2])}"
            )
        if embeddings.shape[1] > self.context_length:
            raise ValueError(
                f"prompts of {embeddings.shape[1]} tokens are longer than "
                f"context_length={self.context_length}"
            )

    def nearest_tokens(
        self, vectors: Tensor, top: int = 1, words_only: bool = True
    ) -> list[list[tuple[str, float]]]:
        """For each vector (N, token_width) the ``top`` nearest tokens, as (text, Euclidean distance).

        ``words_only`` leaves out pieces that do not end a word and those with anything but letters.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.token_width:
            raise ValueError(f"vectors must be (N, {self.token_width}), got {tuple(vectors.shape)}")
        table = self._token_table().detach()
        allowed = self._words if words_only else torch.ones(len(table), dtype=torch.bool)
        return clip_text.nearest_tokens(table, self._piece, allowed.to(table.device), vectors.detach(), top)

    @cached_property
    def _words(self) -> Tensor:
        return clip_text.word_mask(self.tokenizer.decoder, self._piece, len(self._token_table()))

    def _piece(self, token: int) -> str:
        return self.tokenizer.decode([token]).strip()

    def _token_table(self) -> Tensor:
        tower = clip_text.text_tower(self.model)
        if not hasattr(tower, "token_embedding"):
            raise NotImplementedError(
                f"architecture={self.architecture!r}: {clip_text.why_unsupported(self.model)}"
            )
        return tower.token_embedding.weight

    # identity

    def fingerprint(self) -> str:
        """sha256 of weights, configuration and preprocessing: equal digests mean equal features."""
        description = dict(
            config=self.config,
            resize=self.resize,
            mean=self.mean.flatten().tolist(),
            std=self.std.flatten().tolist(),
            **({"crop": True} if self.crop else {}),
        )
        digest = hashlib.sha256(json.dumps(description, sort_keys=True, default=str).encode())
        for key, value in sorted(self.model.state_dict().items()):
            digest.update(key.encode())
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().tobytes())  # numpy knows no bfloat16
        return digest.hexdigest()


@cache  # several networks of one architecture; it is only read
def _tokenizer_of(architecture: str) -> Any:
    import open_clip

    return open_clip.get_tokenizer(architecture)
