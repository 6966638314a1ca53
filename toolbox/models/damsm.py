"""DAMSM's two encoders: texts and images in one space, words beside regions (Xu et al. 2018, sec. 3.2).

AttnGAN (that paper), DM-GAN and SSA-GAN share them. State dicts of those repositories load as they are
(``load_state_dict``, strict); ``num_batches_tracked`` may be absent from them.

All encoders here have ``code_dim`` and one of

    encode_text(ids, lengths) -> TextCodes
    encode_images(images) -> (codes (N, code_dim), regions (N, code_dim, h, w))
"""

from __future__ import annotations

import math
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from toolbox.compat import import_torchvision
from toolbox.interfaces import TextCodes
from toolbox.models.layers import accept_parallel, fast_layout
from toolbox.ranges import check_in, check_whole

TO_REGIONS = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "pool"),
    *("Conv2d_3b_1x1", "Conv2d_4a_3x3", "pool", "Mixed_5b", "Mixed_5c", "Mixed_5d"),
    *("Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"),
)
TO_CODE = ("Mixed_7a", "Mixed_7b", "Mixed_7c")
"""Layers of torchvision's Inception-v3 up to the regions (768 channels), and on to the code (2,048)."""


class DamsmTextEncoder(nn.Module):
    """A bidirectional LSTM: its outputs are the words' codes, its two last states the sentence's.

    Args:
        n_tokens: size of the vocabulary, padding (id 0) among it: 5,450 for CUB, 27,297 for COCO.
        embedding_dim: width of a token's embedding.
        code_dim: width of a code; even, half of it for each direction.
        dropout: of embeddings, in training.

    Raises:
        ValueError: for an odd ``code_dim``.
    """

    def __init__(
        self, n_tokens: int = 5450, embedding_dim: int = 300, code_dim: int = 256, dropout: float = 0.5
    ) -> None:
        super().__init__()
        check_whole(2, n_tokens=n_tokens, code_dim=code_dim)
        check_whole(1, embedding_dim=embedding_dim)
        check_in("[0, 1)", dropout=dropout)
        if code_dim % 2:
            raise ValueError(f"code_dim={code_dim} must be even: half of it for each direction")
        self.code_dim, self.n_tokens = code_dim, n_tokens
        self.encoder = nn.Embedding(n_tokens, embedding_dim)
        self.drop = nn.Dropout(dropout)
        self.rnn = nn.LSTM(embedding_dim, code_dim // 2, batch_first=True, bidirectional=True)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        accept_parallel(self)

    def forward(self, ids: Tensor, lengths: Tensor | None = None) -> TextCodes:
        """See :meth:`encode_text`."""
        return self.encode_text(ids, lengths)

    def encode_text(self, ids: Tensor, lengths: Tensor | None = None) -> TextCodes:
        """Codes of N captions, in their order; words beyond a caption's length are 0.

        Args:
            ids: (N, L) int64 tokens, 0 after the last.
            lengths: (N,) words of each caption; None = its tokens that are not 0.

        Raises:
            ValueError: for another shape, an empty caption, or a token beyond the vocabulary.
        """
        if ids.ndim != 2:
            raise ValueError(f"ids must be (N, L), got {tuple(ids.shape)}")
        lengths = (ids != 0).sum(dim=1) if lengths is None else lengths
        on_cpu = lengths.cpu()
        self._check(ids, on_cpu)
        packed = pack_padded_sequence(
            self.drop(self.encoder(ids)), on_cpu, batch_first=True, enforce_sorted=False
        )
        outputs, (last, _) = self.rnn(packed)  # last (2, N, code_dim / 2)
        words, _ = pad_packed_sequence(outputs, batch_first=True, total_length=ids.shape[1])
        sentence = last.transpose(0, 1).flatten(1)  # (N, code_dim), forwards first
        return TextCodes(sentence, words.transpose(1, 2), lengths)

    def _check(self, ids: Tensor, lengths: Tensor) -> None:
        if int(lengths.min()) < 1:
            raise ValueError(f"caption {int(lengths.argmin())} of the batch has no words")
        if int(lengths.max()) > ids.shape[1]:
            raise ValueError(f"lengths up to {int(lengths.max())} of captions with {ids.shape[1]} places")
        most = int(ids.max())
        if most >= self.encoder.num_embeddings:
            raise ValueError(
                f"token {most} is beyond the vocabulary (n_tokens={self.encoder.num_embeddings}): "
                "captions and encoder must be of one vocabulary"
            )


class DamsmImageEncoder(nn.Module):
    """Inception-v3 with two trained projections: 17 x 17 regions and one code an image.

    Inception itself does not train. In train mode its BatchNorms nevertheless normalise by the batch and move
    their averages, as they did when the published encoders were made.

    Args:
        code_dim: width of a code.
        image_size: pixels that images are brought to, at least 75; fewer pixels give fewer regions.
        align_corners: of that bilinear resize: True for encoders of AttnGAN and DM-GAN, False for SSA-GAN's.
        inception: file of torchvision's ImageNet weights, to train the projections on; None = random ones, to
            be loaded over.
        update_statistics: False keeps Inception in eval mode when the projections train.

    Raises:
        FileNotFoundError, ValueError: for a file that is missing, or has other tensors.
    """

    def __init__(
        self,
        code_dim: int = 256,
        image_size: int = 299,
        align_corners: bool = True,
        inception: str | Path | None = None,
        update_statistics: bool = True,
    ) -> None:
        super().__init__()
        check_whole(1, code_dim=code_dim)
        check_whole(75, image_size=image_size)
        self.code_dim, self.image_size, self.align_corners = code_dim, image_size, align_corners
        self.update_statistics = update_statistics
        whole = import_torchvision().models.inception_v3(
            weights=None, aux_logits=False, transform_input=False, init_weights=False
        )
        for name in (*TO_REGIONS, *TO_CODE):
            if name != "pool":
                self.add_module(name, getattr(whole, name))
        self.requires_grad_(False)
        if inception is not None:
            self._load_inception(inception)
        self.emb_features = nn.Conv2d(768, code_dim, 1, bias=False)
        self.emb_cnn_code = nn.Linear(2048, code_dim)
        for projection in (self.emb_features, self.emb_cnn_code):
            nn.init.uniform_(projection.weight, -0.1, 0.1)
        accept_parallel(self)

    def train(self, mode: bool = True) -> DamsmImageEncoder:
        """Switch modes; without ``update_statistics`` Inception stays in eval mode."""
        super().train(mode)
        if not self.update_statistics:
            for name, child in self.named_children():
                child.train(mode and name.startswith("emb_"))
        return self

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`encode_images`."""
        return self.encode_images(images)

    def encode_images(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (N, code_dim) and regions (N, code_dim, 17, 17) of images (N, 3, H, W) in [-1, 1]."""
        x = _resized(images, self.image_size, self.align_corners)
        x = fast_layout(x, self, extent=0)  # no layer that learns is wide
        x = self._through(x, TO_REGIONS)  # (N, 768, 17, 17)
        regions = self.emb_features(x)
        x = self._through(x, TO_CODE).mean(dim=(2, 3))  # (N, 2048)
        return self.emb_cnn_code(x), regions

    def _through(self, x: Tensor, names: tuple[str, ...]) -> Tensor:
        for name in names:
            x = F.max_pool2d(x, 3, stride=2) if name == "pool" else self.get_submodule(name)(x)
        return x

    def _load_inception(self, path: str | Path) -> None:
        from toolbox.weights.errors import misfits
        from toolbox.weights.reading import read_weights

        tensors = read_weights(path).state_dict()
        own = self.state_dict()
        counters = {key: value for key, value in own.items() if key.endswith("num_batches_tracked")}
        unused = ("fc.", "AuxLogits.")
        tensors = counters | {key: value for key, value in tensors.items() if not key.startswith(unused)}
        faults = misfits(tensors, own)
        if faults:
            raise ValueError(f"inception={str(path)!r} is not torchvision's Inception-v3: {faults}")
        self.load_state_dict(tensors)


class SmallImageEncoder(nn.Module):
    """A few convolutions in DamsmImageEncoder's place, for small images and short runs; all of it trains.

    Args:
        code_dim: width of a code.
        image_size: pixels that images are brought to, a power of two of at least 16.
        channels: width of the first layer; it doubles down to the regions.
        regions: regions to a side, a power of two from 2 to half of ``image_size``.

    Raises:
        ValueError: for sizes that are no such powers.
    """

    def __init__(
        self, code_dim: int = 64, image_size: int = 32, channels: int = 32, regions: int = 8
    ) -> None:
        super().__init__()
        check_whole(1, code_dim=code_dim)
        check_whole(2, regions=regions)
        check_whole(8, channels=channels)
        check_whole(16, image_size=image_size)
        halvings = math.log2(image_size / regions)
        if not halvings.is_integer() or halvings < 1 or math.log2(regions) % 1:
            raise ValueError(
                f"image_size={image_size} and regions={regions} must be powers of two, the first the larger"
            )
        self.code_dim, self.image_size = code_dim, image_size
        widths = [channels << i for i in range(int(halvings))]
        layers = [nn.Conv2d(3, channels, 3, padding=1), nn.LeakyReLU(0.2)]
        for width, wider in zip(widths, [*widths[1:], widths[-1] * 2], strict=True):
            layers += _halving(width, wider)
        self.trunk = nn.Sequential(*layers)
        self.top = nn.Sequential(*_halving(widths[-1] * 2, widths[-1] * 2))
        self.to_regions = nn.Conv2d(widths[-1] * 2, code_dim, 1, bias=False)
        self.to_code = nn.Linear(widths[-1] * 2, code_dim)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`encode_images`."""
        return self.encode_images(images)

    def encode_images(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Codes (N, code_dim) and regions (N, code_dim, h, h) of images (N, 3, H, W) in [-1, 1]."""
        x = self.trunk(_resized(images, self.image_size, align_corners=False))
        return self.to_code(self.top(x).mean(dim=(2, 3))), self.to_regions(x)


def _halving(width: int, wider: int) -> list[nn.Module]:
    groups = math.gcd(8, wider)
    return [nn.Conv2d(width, wider, 4, stride=2, padding=1), nn.GroupNorm(groups, wider), nn.LeakyReLU(0.2)]


def _resized(images: Tensor, size: int, align_corners: bool) -> Tensor:
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"images must be (N, 3, H, W), got {tuple(images.shape)}")
    if tuple(images.shape[2:]) == (size, size):
        return images
    return F.interpolate(images, (size, size), mode="bilinear", align_corners=align_corners)
