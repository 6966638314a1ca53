"""The Inception network of FID as a feature extractor, under four published protocols."""

from __future__ import annotations

import hashlib
from difflib import get_close_matches
from pathlib import Path

import torch
from torch import Tensor, nn

from toolbox.interfaces import FeatureExtractor
from toolbox.metrics.extractors.inception_network import LAYERS, InceptionNetwork
from toolbox.metrics.extractors.preprocess import check_protocol, preprocess
from toolbox.weights.errors import WeightsError
from toolbox.weights.reading import read_weights

WEIGHTS_NAME = "pt_inception-2015-12-05-6726825d.pth"
HOW_TO_GET = (
    f"get {WEIGHTS_NAME} (95 MB, Apache-2.0, sha256 begins 6726825d) from "
    f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{WEIGHTS_NAME} "
    f"and pass weights='/path/to/{WEIGHTS_NAME}'"
)


class FIDInception(FeatureExtractor):
    """Inception-v3 as ported from TensorFlow (Heusel et al. 2017), its weights from a file of the user.

    There is no fallback: without the file it cannot be built.

    Args:
        weights: ``pt_inception-2015-12-05-6726825d.pth`` (torch-fidelity's ``weights-inception-...`` is the
            same), or the same tensors as safetensors.
        protocol: preprocessing: 'tf' (TTUR, torch-fidelity, NVIDIA), 'pytorch_fid', 'clean' or 'torch_aa'.
            Numbers of two protocols are not comparable.
        layer: '2048' (FID), '64', '192' or '768' (for few images; another scale), 'logits_unbiased' (1008,
            for the Inception Score) or 'logits'.
        sha256: what the file's digest must begin with; None accepts any file that fits (a conversion to
            safetensors).

    Raises:
        FileNotFoundError: when the file is missing, saying which and how to get it.
        ValueError: for an unknown protocol or layer, another digest, or tensors that do not fit.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        protocol: str = "tf",
        layer: str | int = "2048",
        sha256: str | None = "6726825d",
    ) -> None:
        super().__init__()
        self.protocol = check_protocol(protocol)
        self.layer = _checked_layer(str(layer))
        tensors = read_tensors(weights, sha256)  # first: where the file is missing no network need be made
        self.network = InceptionNetwork()
        load_strictly(self.network, tensors)
        self._finish(digest_of(self.network))

    def _finish(self, weights_digest: str) -> None:
        self.n_features = LAYERS[self.layer]
        suffix = "" if self.layer == "2048" else f"-{self.layer}"
        self.name = f"inception-{self.protocol}{suffix}".replace("_", "-")
        self._weights_digest = weights_digest
        self.requires_grad_(False)
        self.eval()

    @property
    def base(self) -> FIDInception | None:
        """For logits the same network up to its last activations (FID and IS share a pass); else None."""
        return self.at("2048") if self.layer.startswith("logits") else None

    def at(self, layer: str) -> FIDInception:
        """The same network and weights, read at another layer."""
        other = FIDInception.__new__(FIDInception)
        nn.Module.__init__(other)
        other.network = self.network
        other.protocol = self.protocol
        other.layer = _checked_layer(layer)
        other._finish(self._weights_digest)
        return other

    def forward(self, images: Tensor) -> Tensor:
        """Features (N, n_features) float32 of images (N, 3, H, W) in [-1, 1], which are rounded to 8 bits."""
        pixels = ((images.float() + 1) * 127.5 + 0.5).clamp(0, 255).to(torch.uint8)
        features = self.network(preprocess(pixels, self.protocol), self.layer)
        return self.head(features) if self.layer.startswith("logits") else features

    def head(self, features: Tensor) -> Tensor:
        """Logits (N, 1008) of the last activations (N, 2048)."""
        return self.network.logits(features, bias=self.layer == "logits")

    def fingerprint(self) -> str:
        """sha256 of weights, protocol and layer."""
        return hashlib.sha256(f"{self._weights_digest} {self.protocol} {self.layer} 1".encode()).hexdigest()

    def train(self, mode: bool = True) -> FIDInception:
        """Stays in eval mode: a metric's network never trains."""
        return super().train(False)


def read_tensors(
    weights: str | Path | None, sha256: str | None = None, owner: str = "FIDInception", how: str = HOW_TO_GET
) -> dict[str, Tensor]:
    """Tensors of a weights file, by name; nothing in it is executed. ``how`` says where to get it.

    Raises:
        FileNotFoundError: when it is missing.
        ValueError: when its digest does not begin with ``sha256``, or it cannot be read.
    """
    if weights is None or not Path(weights).is_file():
        given = "weights is not given" if weights is None else f"weights={str(weights)!r}: no such file"
        raise FileNotFoundError(f"{owner}: {given}; {how}")
    path = Path(weights)
    _check_digest(path, sha256, how)
    try:
        return read_weights(path).state_dict()
    except WeightsError as error:
        raise ValueError(f"weights={str(path)!r} cannot be read as tensors ({error}): {how}") from error


def load_strictly(
    network: nn.Module,
    tensors: dict[str, Tensor],
    title: str = "FID's Inception",
    hint: str = f"torchvision's Inception is another network; {HOW_TO_GET}",
) -> None:
    """Every tensor of the network from ``tensors`` and no other; batch counters may be absent.

    Raises:
        ValueError: listing the first names or shapes that do not fit.
    """
    own = network.state_dict()
    counters = {key: value for key, value in own.items() if key.endswith("num_batches_tracked")}
    tensors = {**counters, **tensors}
    problems = [f"missing {key}" for key in own if key not in tensors]
    problems += [f"unknown {key}" for key in tensors if key not in own]
    for key, value in own.items():
        if key in tensors and tensors[key].shape != value.shape:
            problems.append(f"{key} is {tuple(tensors[key].shape)}, not {tuple(value.shape)}")
    if problems:
        raise ValueError(
            f"weights do not fit {title}: {'; '.join(problems[:5])} ({len(problems)} in all). {hint}"
        )
    network.load_state_dict(tensors)


def _checked_layer(layer: str) -> str:
    if layer not in LAYERS:
        near = get_close_matches(layer, LAYERS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"layer={layer!r}: allowed are {', '.join(map(repr, LAYERS))}{hint}")
    return layer


def _check_digest(path: Path, sha256: str | None, how: str) -> None:
    if sha256 is None:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(sha256.lower()):
        raise ValueError(
            f"weights={str(path)!r} has sha256 {found[:16]}..., expected {sha256}...: {how}; or "
            f"pass sha256=None (or the digest) for a conversion that you trust"
        )


def digest_of(network: nn.Module) -> str:
    """sha256 of a network's tensors, but for batch counters."""
    digest = hashlib.sha256()
    for key, value in sorted(network.state_dict().items()):
        if not key.endswith("num_batches_tracked"):
            digest.update(key.encode() + value.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
