"""BigGAN at 32 px as ajbrock/BigGAN-PyTorch builds it.

It is the base of DiffAugment's and vision-aided GAN's CIFAR runs.

Two forms of the generator exist there. With ``hier`` and ``shared`` it is StudioGAN's without attention
(:class:`AjbrockSharedGenerator`); its CIFAR script sets neither, so that every BatchNorm owns a gain and a
bias row a class, and the latent enters only at the start (:class:`AjbrockGenerator`; 4,304,387 parameters at
64 channels). The discriminator is 4 x channels wide and clean in its skips (4,207,361 parameters).

State dicts of that repository load as they are (``load_state_dict``, strict); see :func:`from_ajbrock`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.interfaces import Condition, Generator
from toolbox.models.biggan import BigGANDiscriminator, BigGANGenerator, GeneratorBlock, check_layers, embed
from toolbox.models.layers import fast_layout, initialise, spectral_norm
from toolbox.ranges import check_positive, check_whole

RENAMES = (
    (r"\.conv1\.", ".conv2d1."),
    (r"\.conv2\.", ".conv2d2."),
    (r"\.conv_sc\.", ".conv2d0."),
    (r"^output_layer\.0\.gain$", "bn4.weight"),
    (r"^output_layer\.0\.", "bn4."),
    (r"^output_layer\.2\.", "conv2d5."),
    (r"\.(bn\d)\.stored_", r".\1.bn.running_"),
    (r"\.stored_", ".running_"),
    (r"^embed\.", "embedding."),
)
"""Names of that repository to ours (StudioGAN's), as regular expressions in order."""


def from_ajbrock(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of ajbrock/BigGAN-PyTorch in our names.

    It stores raw weights and ``u0``, and takes one power step in every forward, in eval mode too; our u and v
    are those after that step, so that eval mode gives its sigma.
    """
    linear = "linear0." if any(key.startswith("output_layer.") for key in state) else "linear1."
    ours: dict[str, Tensor] = {}
    for key, value in state.items():
        name = re.sub(r"^linear\.", linear, key)
        for pattern, replacement in RENAMES:
            name = re.sub(pattern, replacement, name)
        layer, _, entry = key.rpartition(".")
        if entry == "weight" and f"{layer}.u0" in state:
            u, v = _power_step(value, state[f"{layer}.u0"])
            ours.update({f"{name}_orig": value, f"{name}_u": u, f"{name}_v": v})
        elif entry not in ("u0", "sv0"):
            ours[name] = value
        if entry == "stored_mean":
            ours[name.replace("running_mean", "num_batches_tracked")] = torch.tensor(0)
    return ours


def _power_step(weight: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """u (outputs,) and v (inputs,) after one power iteration."""
    matrix = weight.flatten(1)  # (outputs, inputs)
    v = F.normalize(matrix.t() @ u.flatten(), dim=0)
    return F.normalize(matrix @ v, dim=0), v


def _translate(network: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Hook of ``load_state_dict``: names of that repository are translated, ours pass."""
    own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    if any(key.endswith(".u0") for key in own):
        for key in own:
            del state[prefix + key]
        state.update({prefix + key: value for key, value in from_ajbrock(own).items()})


class ClassRowBatchNorm(nn.Module):
    """y = BN(x) (1 + gain) + bias with a gain and a bias row for each class, mixed by soft weights."""

    def __init__(self, channels: int, n_conditions: int, eps: float) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels, eps=eps, affine=False)
        self.gain = nn.Embedding(n_conditions, channels)
        self.bias = nn.Embedding(n_conditions, channels)

    def forward(self, x: Tensor, condition: Condition) -> Tensor:
        """x (N, channels, H, W)."""
        name = type(self).__name__
        gain = embed(self.gain.weight, condition, name)  # (N, channels)
        bias = embed(self.bias.weight, condition, name)  # (N, channels)
        return torch.addcmul(bias[:, :, None, None], self.bn(x), (1 + gain)[:, :, None, None])


class AjbrockGenerator(Generator):
    """Generator of that repository's CIFAR script: class rows in every BatchNorm, latent at the start only.

    Soft ``condition.weights`` mix the rows of gain and bias.

    Args:
        channels: width unit; every block has 4 x channels.
        n_conditions: number of classes, at least 1.
        latent_dim: numbers in one latent vector.
        init: 'normal' (N(0, 0.02), the script's) or 'orthogonal'.
        bn_eps: epsilon of every BatchNorm.

    ``feature_layers``: '4x4' to '32x32', the activations after each block. ``feature_channels`` are their
    widths.
    """

    def __init__(
        self,
        channels: int = 64,
        n_conditions: int = 10,
        latent_dim: int = 128,
        init: str = "normal",
        bn_eps: float = 1e-5,
    ) -> None:
        super().__init__()
        check_whole(1, channels=channels, latent_dim=latent_dim)
        check_whole(0, n_conditions=n_conditions)
        check_positive(bn_eps=bn_eps)
        if n_conditions < 1:
            raise ValueError(
                f"n_conditions={n_conditions}: class rows need at least 1; BigGANGenerator knows 0"
            )
        width = 4 * channels
        self.image_size = 32
        self.latent_dim = latent_dim
        self.n_conditions = n_conditions
        self.feature_layers = ("4x4", "8x8", "16x16", "32x32")
        self.feature_channels = (width,) * 4
        norm = partial(ClassRowBatchNorm, n_conditions=n_conditions, eps=bn_eps)
        self.linear0 = spectral_norm(nn.Linear(latent_dim, width * 16))
        self.blocks = nn.ModuleList(nn.ModuleList([GeneratorBlock(width, width, norm)]) for _ in range(3))
        self.bn4 = nn.BatchNorm2d(width, eps=bn_eps)
        self.conv2d5 = spectral_norm(nn.Conv2d(width, 3, 3, padding=1))
        initialise(self, init)
        self.register_load_state_dict_pre_hook(_translate)

    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        """Images (N, 3, 32, 32) in [-1, 1] from latents (N, latent_dim).

        Raises:
            ValueError: when the condition has neither labels nor weights, or does not fit ``n_conditions``.
        """
        *_, x = self._walk(latents, condition)
        return torch.tanh(self.conv2d5(F.relu(self.bn4(x))))

    def features(
        self,
        latents: Tensor,
        condition: Condition | None,
        layers: Sequence[str],
        truncation: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """{layer: (N, C, h, w)} for names out of ``feature_layers``, of latents times ``truncation``.

        There is no noise: ``rng`` is unused.

        Raises:
            ValueError: for a name that is not among them.
        """
        check_layers(layers, self.feature_layers)
        walk = self._walk(latents * truncation, condition)
        activations = dict(zip(self.feature_layers, walk, strict=True))
        return {layer: activations[layer] for layer in layers}

    def _walk(self, latents: Tensor, condition: Condition | None) -> Iterator[Tensor]:
        """Activations at each resolution: (N, C, 4, 4) to (N, C, 32, 32)."""
        x = self.linear0(latents).view(len(latents), -1, 4, 4)
        x = fast_layout(x, self, self.feature_channels[-1] * self.image_size)
        yield x
        for stage in self.blocks:
            for block in stage.children():
                x = block(x, condition)
            yield x


class AjbrockSharedGenerator(BigGANGenerator):
    """That repository's generator with ``hier`` and ``shared``: :class:`BigGANGenerator` without attention.

    At 96 channels 9,231,875 parameters. Arguments as there.
    """

    def __init__(
        self,
        channels: int = 64,
        n_conditions: int = 10,
        latent_dim: int = 80,
        embedding_dim: int = 128,
        init: str = "normal",
        bn_eps: float = 1e-5,
    ) -> None:
        super().__init__(
            channels, n_conditions, 32, latent_dim, embedding_dim, attention=False, init=init, bn_eps=bn_eps
        )
        self.register_load_state_dict_pre_hook(_translate)


class AjbrockDiscriminator(BigGANDiscriminator):
    """That repository's discriminator: :class:`BigGANDiscriminator`, 4 x channels wide, without attention.

    Its skips are the clean ones.
    """

    def __init__(self, channels: int = 64, n_conditions: int = 10, init: str = "normal") -> None:
        super().__init__(
            channels, n_conditions, 32, attention=False, inplace_skip=False, init=init, factors=(4, 4, 4, 4)
        )
        self.register_load_state_dict_pre_hook(_translate)
