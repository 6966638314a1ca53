"""torchvision's ImageNet Inception as a feature extractor: what DM-GAN, GALIP and others measure with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from toolbox.catalog import near_miss
from toolbox.compat import import_torchvision
from toolbox.interfaces import FeatureExtractor, from_bytes
from toolbox.metrics.extractors.inception import digest_of, load_strictly, read_tensors
from toolbox.metrics.extractors.text_to_image import imagenet_input, legacy_inception_input, plain_input

WEIGHTS_NAME = "inception_v3_google-0cc3c7bd.pth"
HOW_TO_GET = (
    f"get {WEIGHTS_NAME} (104 MB, sha256 begins 0cc3c7bd) from "
    f"https://download.pytorch.org/models/{WEIGHTS_NAME} and pass weights='/path/to/{WEIGHTS_NAME}'"
)
PROTOCOLS: dict[str, Callable[[Tensor], Tensor]] = {
    "legacy_t2i": legacy_inception_input,
    "biggan": imagenet_input,
    "plain": plain_input,
}
LAYERS = {"2048": 2048, "logits": 1000}


class TorchvisionInception(FeatureExtractor):
    """torchvision's Inception-v3 of ImageNet, its weights from a file of the user.

    It is another network than FID's: numbers of the two do not compare.

    Args:
        weights: ``inception_v3_google-0cc3c7bd.pth``, or the same tensors as safetensors.
        protocol: preprocessing: 'legacy_t2i' (DM-GAN's, DF-GAN's and GALIP's FID), 'biggan' (BigGAN-PyTorch's
            FID and Inception Score) or 'plain' (inception-score-pytorch).
        layer: '2048' or 'logits' (1000).
        sha256: what the file's digest must begin with; None accepts any file that fits.

    Raises:
        FileNotFoundError: when the file is missing, saying which and how to get it.
        ValueError: for an unknown protocol or layer, another digest, or tensors that do not fit.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        protocol: str = "legacy_t2i",
        layer: str | int = "2048",
        sha256: str | None = "0cc3c7bd",
    ) -> None:
        super().__init__()
        self.protocol = _one_of(PROTOCOLS, protocol, "protocol")
        self.layer = _one_of(LAYERS, str(layer), "layer")
        tensors = read_tensors(weights, sha256, "TorchvisionInception", HOW_TO_GET)
        network: Any = import_torchvision().models.inception_v3(
            weights=None, init_weights=False, aux_logits=True, transform_input=False
        )
        load_strictly(network, tensors, "torchvision's Inception", HOW_TO_GET)
        self._weights_digest = digest_of(network)
        self.fc: nn.Linear = network.fc
        network.fc, network.AuxLogits = nn.Identity(), None
        self.network = network
        self.n_features = LAYERS[self.layer]
        suffix = "" if self.layer == "2048" else f"-{self.layer}"
        self.name = f"inception-torchvision-{self.protocol}{suffix}".replace("_", "-")
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, n_features) float32 of images (N, 3, H, W) in [-1, 1], which are rounded to 8 bits."""
        pixels = ((images.float() + 1) * 127.5 + 0.5).clamp(0, 255).to(torch.uint8)
        features: Tensor = self.network(PROTOCOLS[self.protocol](from_bytes(pixels)))
        return self.fc(features) if self.layer == "logits" else features

    def fingerprint(self) -> str:
        """sha256 of weights, protocol and layer."""
        parts = f"torchvision {self._weights_digest} {self.protocol} {self.layer} 1"
        return hashlib.sha256(parts.encode()).hexdigest()

    def train(self, mode: bool = True) -> TorchvisionInception:
        """Stays in eval mode: a metric's network never trains."""
        return super().train(False)


def _one_of(allowed: dict[str, Any], value: str, name: str) -> str:
    if value not in allowed:
        raise ValueError(f"{name}={value!r}{near_miss(value, allowed)}; allowed: {', '.join(allowed)}")
    return value
