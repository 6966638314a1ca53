"""BigGAN in the layout of PyTorch-StudioGAN ('big_resnet'): its published weights load by name.

Brock, Donahue, Simonyan: Large Scale GAN Training for High Fidelity Natural Image Synthesis, ICLR 2019,
appendix B. StudioGAN: Kang, Shin, Park 2022. At 32 px and 96 channels the generator has 9,416,196 parameters,
the discriminator 2,415,170 (10 classes).

From the small to the large: layers, the generator and its blocks, the discriminator and its blocks, checks.
Spectral normalisation and initialisation are in :mod:`toolbox.models.layers`. Names of submodules (``bn4``,
``conv2d5``, ``linear1``, ...) are StudioGAN's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.interfaces import Condition, Discriminator, Generator
from toolbox.models.conditions import check_labels, check_weights
from toolbox.models.layers import (
    DownsampleConv2d,
    UpsampleConv2d,
    fast_layout,
    initialise,
    near,
    spectral_norm,
    upsample,
)
from toolbox.ranges import check_positive, check_whole, numbered


@dataclass(frozen=True)
class Plan:
    """Widths of one image size, in units of ``channels``.

    The plans are StudioGAN's; the paper's own start at 128 px.

    Attributes:
        generator: at 4x4 and after each block; every block doubles the size.
        generator_attention: after how many blocks the self-attention sits.
        discriminator: after each block.
        down: which of the discriminator's blocks halve the size.
    """

    generator: tuple[int, ...]
    generator_attention: int
    discriminator: tuple[int, ...]
    down: tuple[bool, ...]


PLANS = {
    16: Plan((4, 4, 4), 1, (2, 2, 2), (True, False, False)),
    32: Plan((4, 4, 4, 4), 2, (2, 2, 2, 2), (True, True, False, False)),
    64: Plan((16, 8, 4, 2, 1), 3, (1, 2, 4, 8, 16), (True, True, True, True, False)),
}


# layers


class ConditionalBatchNorm(nn.Module):
    """y = BN(x) (1 + gain(c)) + bias(c), gain and bias linear in the condition c (BigGAN, section 3)."""

    def __init__(self, channels: int, condition_dim: int, eps: float) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels, eps=eps, affine=False)
        self.gain = spectral_norm(nn.Linear(condition_dim, channels, bias=False))
        self.bias = spectral_norm(nn.Linear(condition_dim, channels, bias=False))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """x (N, channels, H, W), c (N, condition_dim)."""
        gain = (1 + self.gain(c))[:, :, None, None]  # (N, channels, 1, 1)
        bias = self.bias(c)[:, :, None, None]  # (N, channels, 1, 1)
        return torch.addcmul(bias, self.bn(x), gain)


class SelfAttention(nn.Module):
    """Self-attention over positions (SAGAN, eqs. 1-3), keys and values pooled 2x2; no biases.

    beta = softmax(theta(x)^T phi(x)) over the pooled positions,   o = attn(sum beta g(x))
    y = x + sigma o,   sigma = 0 first
    """

    def __init__(self, channels: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.conv1x1_theta = spectral_norm(nn.Conv2d(channels, channels // 8, 1, bias=False), eps)
        self.conv1x1_phi = spectral_norm(nn.Conv2d(channels, channels // 8, 1, bias=False), eps)
        self.conv1x1_g = spectral_norm(nn.Conv2d(channels, channels // 2, 1, bias=False), eps)
        self.conv1x1_attn = spectral_norm(nn.Conv2d(channels // 2, channels, 1, bias=False), eps)
        self.sigma = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        query = self.conv1x1_theta(x).flatten(2)  # (N, C/8, HW)
        key = F.max_pool2d(self.conv1x1_phi(x), 2).flatten(2)  # (N, C/8, HW/4)
        value = F.max_pool2d(self.conv1x1_g(x), 2).flatten(2)  # (N, C/2, HW/4)
        attention = (query.transpose(1, 2) @ key).softmax(dim=-1)  # (N, HW, HW/4)
        mixed = (value @ attention.transpose(1, 2)).unflatten(2, x.shape[2:])  # (N, C/2, H, W)
        return x + self.sigma * self.conv1x1_attn(mixed)


# generator


class GeneratorBlock(nn.Module):
    """cBN, ReLU, x2, conv3x3, cBN, ReLU, conv3x3; plus the skip: x2, conv1x1 (BigGAN, fig. 15b)."""

    def __init__(self, inputs: int, outputs: int, norm: Callable[[int], nn.Module]) -> None:
        """``norm(channels)`` makes a conditional BatchNorm: (x, c) -> x."""
        super().__init__()
        self.bn1 = norm(inputs)
        self.bn2 = norm(outputs)
        self.conv2d0 = spectral_norm(nn.Conv2d(inputs, outputs, 1))
        self.conv2d1 = spectral_norm(UpsampleConv2d(inputs, outputs, 3, padding=1))
        self.conv2d2 = spectral_norm(nn.Conv2d(outputs, outputs, 3, padding=1))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, 2H, 2W) under the condition c, which is the norm's business."""
        main = self.conv2d1(F.relu(self.bn1(x, c)))  # (N, outputs, 2H, 2W)
        main = self.conv2d2(F.relu(self.bn2(main, c)))
        return main + upsample(self.conv2d0(x))  # a 1x1 convolution and nearest x2 commute


class BigGANGenerator(Generator):
    """StudioGAN's BigGAN generator, conditioned on labels or on soft rows over a table of embeddings.

    The latent is cut in equal chunks: the first feeds the 4x4 start, block b sees (embedding, chunk b)
    ("skip-z" and shared embedding: section 3.1 and fig. 15a).

    Args:
        channels: width unit (96 in the CIFAR configurations); the blocks have 4 x channels at 32 px.
        n_conditions: rows of the shared table (classes, or clusters of all classes); 0 = unconditional.
        image_size: 16, 32 or 64.
        latent_dim: must be divisible by the number of blocks + 1.
        embedding_dim: width of the shared table.
        attention: self-attention at half the image size (StudioGAN's place at 32 px).
        groups: class of each of the ``n_conditions`` rows, for ``residual_class``.
        residual_class: row = class part (``shared_class``) + own part (``shared``); helps with few labels.
        init: 'orthogonal' or 'normal' (N(0, 0.02)).
        bn_eps: epsilon of every BatchNorm.

    ``feature_layers``: '4x4', '8x8', ...: the activations after everything done at that resolution, before
    the output layer. ``feature_channels`` are their widths.

    Raises:
        ValueError: for sizes that do not fit each other, naming the argument.
    """

    def __init__(
        self,
        channels: int = 96,
        n_conditions: int = 10,
        image_size: int = 32,
        latent_dim: int = 80,
        embedding_dim: int = 128,
        attention: bool = True,
        groups: Sequence[int] | None = None,
        residual_class: bool = False,
        init: str = "orthogonal",
        bn_eps: float = 1e-4,
    ) -> None:
        super().__init__()
        plan = plan_for(image_size)
        check_whole(1, channels=channels, latent_dim=latent_dim, embedding_dim=embedding_dim)
        check_whole(0, n_conditions=n_conditions, **numbered("groups", groups))
        check_positive(bn_eps=bn_eps)
        widths = [channels * factor for factor in plan.generator]
        _check_divides(latent_dim, len(widths))
        self.image_size = image_size
        self.latent_dim = latent_dim
        self.n_conditions = n_conditions
        self.chunk = latent_dim // len(widths)  # one for the start and one for each block
        self.feature_layers = tuple(f"{4 << i}x{4 << i}" for i in range(len(widths)))
        self.feature_channels = tuple(widths)
        self.extent = max(width * (4 << i) for i, width in enumerate(widths))

        self.linear0 = spectral_norm(nn.Linear(self.chunk, widths[0] * 4 * 4))
        self._build_table(n_conditions, embedding_dim, groups, residual_class)
        condition_dim = self.chunk + (embedding_dim if n_conditions else 0)
        norm = partial(ConditionalBatchNorm, condition_dim=condition_dim, eps=bn_eps)
        blocks: list[nn.Module] = []
        for number, (inputs, outputs) in enumerate(pairwise(widths), start=1):
            blocks.append(GeneratorBlock(inputs, outputs, norm))
            if attention and number == plan.generator_attention:
                blocks.append(SelfAttention(outputs))
        self.blocks = _nested(blocks)
        self.bn4 = nn.BatchNorm2d(widths[-1], eps=bn_eps)
        self.conv2d5 = spectral_norm(nn.Conv2d(widths[-1], 3, 3, padding=1))
        initialise(self, init)

    def _build_table(
        self, n_conditions: int, embedding_dim: int, groups: Sequence[int] | None, residual: bool
    ) -> None:
        """The shared embedding (section 3.1); with ``residual`` also what the rows of a class share."""
        self.shared_class: nn.Embedding | None = None
        if n_conditions:
            self.shared = nn.Embedding(n_conditions, embedding_dim)
        if groups is not None and len(groups) != n_conditions:
            raise ValueError(
                f"groups has {len(groups)} entries, n_conditions is {n_conditions}: give one class a row"
            )
        if not residual:
            return
        if groups is None:
            raise ValueError("residual_class=True needs groups: the class of each row, such as [0, 0, 1, 1]")
        self.groups: Tensor
        self.register_buffer("groups", torch.as_tensor(list(groups), dtype=torch.long), persistent=False)
        self.shared_class = nn.Embedding(max(groups) + 1, embedding_dim)

    def table(self) -> Tensor:
        """(n_conditions, embedding_dim): the embedding of every row."""
        if self.shared_class is None:
            return self.shared.weight
        return self.shared.weight + self.shared_class.weight[self.groups]

    def embed(self, condition: Condition | None) -> Tensor:
        """(N, embedding_dim): ``weights @ table``, else the rows of ``labels``; linear in the weights.

        Raises:
            ValueError: when the condition has neither, or does not fit the table.
        """
        return embed(self.table(), condition, type(self).__name__)

    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        """Images (N, 3, size, size) in [-1, 1] from latents (N, latent_dim)."""
        return self.forward_embedded(latents, self.embed(condition) if self.n_conditions else None)

    def forward_embedded(self, latents: Tensor, embedding: Tensor | None) -> Tensor:
        """Images from latents and any embedding (N, embedding_dim), whether the table has it or not."""
        return self._image(self._body(latents, embedding))

    def _image(self, x: Tensor) -> Tensor:
        """Images of the last activations (N, C, size, size)."""
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
        embedding = self.embed(condition) if self.n_conditions else None
        activations: dict[str, Tensor] = {}
        self._body(latents * truncation, embedding, activations)
        return {layer: activations[layer] for layer in layers}

    def images_and_features(
        self,
        latents: Tensor,
        condition: Condition | None,
        layers: Sequence[str],
        truncation: float = 1.0,
        rng: torch.Generator | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """In one pass."""
        check_layers(layers, self.feature_layers)
        embedding = self.embed(condition) if self.n_conditions else None
        activations: dict[str, Tensor] = {}
        x = self._body(latents * truncation, embedding, activations)
        return self._image(x), {layer: activations[layer] for layer in layers}

    def _body(
        self, latents: Tensor, embedding: Tensor | None, activations: dict[str, Tensor] | None = None
    ) -> Tensor:
        """What the output layer reads; ``activations`` is filled with the last ones at each resolution."""
        if latents.ndim != 2 or latents.shape[1] != self.latent_dim:
            raise ValueError(f"latents have shape {tuple(latents.shape)}, expected (N, {self.latent_dim})")
        chunks = iter(latents.split(self.chunk, dim=1))  # of (N, chunk)
        x = self.linear0(next(chunks)).view(len(latents), -1, 4, 4)  # (N, C, 4, 4)
        x = fast_layout(x, self, self.extent)
        if activations is not None:
            activations["4x4"] = x
        for block in _unnested(self.blocks):
            if isinstance(block, GeneratorBlock):
                z = next(chunks)
                x = block(x, z if embedding is None else torch.cat([embedding, z], dim=1))
            else:
                x = block(x)  # self-attention: overwrites the block's entry
            if activations is not None:
                activations[f"{x.shape[2]}x{x.shape[3]}"] = x
        return x


def embed(table: Tensor, condition: Condition | None, network: str) -> Tensor:
    """Rows (N, d) of a table (S, d): ``weights @ table``, or the rows of ``labels``. Linear in the weights.

    Raises:
        ValueError: when the condition has neither, or does not fit the table.
    """
    if condition is not None and condition.weights is not None:
        check_weights(condition.weights, len(table), network)
        return condition.weights.to(table.dtype) @ table
    if condition is not None and condition.labels is not None:
        check_labels(condition.labels, len(table), network, hidden=False)
        return table[condition.labels]
    raise ValueError(
        f"{network} has {len(table)} conditions and got none: give condition.labels (N,) or "
        f"condition.weights (N, {len(table)})"
    )


# discriminator


class DiscriminatorBlock(nn.Module):
    """ReLU, conv3x3, ReLU, conv3x3, mean 2x2; plus the skip: mean 2x2, conv1x1 (BigGAN, fig. 15c).

    The first block of a network has no ReLU in front: it reads the image.

    ``inplace_skip``: the skip starts from the activated input, as it does where the ReLU is done in place.
    """

    def __init__(self, inputs: int, outputs: int, down: bool, first: bool, inplace_skip: bool) -> None:
        super().__init__()
        self.down = down
        self.first = first
        self.inplace_skip = inplace_skip
        if down or inputs != outputs:
            self.conv2d0 = spectral_norm(nn.Conv2d(inputs, outputs, 1))
        self.conv2d1 = spectral_norm(nn.Conv2d(inputs, outputs, 3, padding=1))
        last = DownsampleConv2d if down else nn.Conv2d
        self.conv2d2 = spectral_norm(last(outputs, outputs, 3, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, H', W'), H' = H/2 if ``down``."""
        active = x if self.first else F.relu(x)
        main = self.conv2d2(F.relu(self.conv2d1(active)))  # (N, outputs, H', W')
        return main + self._skip(active if self.inplace_skip else x)

    def _skip(self, x: Tensor) -> Tensor:
        if self.down:
            x = F.avg_pool2d(x, 2)  # before the 1x1 convolution: they commute
        return self.conv2d0(x) if hasattr(self, "conv2d0") else x


class BigGANDiscriminator(Discriminator):
    """StudioGAN's BigGAN discriminator: sum pooling, a linear score, plus the projection on the label.

        D(x, y) = linear1(h) + <embedding[y], h>,   h = sum over positions of relu(features)

    (Miyato & Koyama 2018, section 3; BigGAN, fig. 15 and appendix B.)

    Args:
        channels: width unit (96 in the CIFAR configurations); the blocks have 2 x channels at 32 px.
        n_conditions: number of classes; 0 = unconditional.
        image_size: 16, 32 or 64.
        attention: self-attention after the first block.
        inplace_skip: read the skip path as the reference runs it: its ReLU is in place, so that the skip of
            every block but the first starts from the activated input. Published weights were trained so.
            False = the clean block.
        init: 'orthogonal' or 'normal' (N(0, 0.02)).
        factors: channels of each block in units of ``channels``; None = StudioGAN's.
    """

    def __init__(
        self,
        channels: int = 96,
        n_conditions: int = 10,
        image_size: int = 32,
        attention: bool = True,
        inplace_skip: bool = True,
        init: str = "orthogonal",
        factors: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        plan = plan_for(image_size)
        check_whole(1, channels=channels, **numbered("factors", factors))
        check_whole(0, n_conditions=n_conditions)
        self.image_size = image_size
        self.n_conditions = n_conditions
        factors = plan.discriminator if factors is None else factors
        if len(factors) != len(plan.down):
            raise ValueError(
                f"factors has {len(factors)} entries, image_size={image_size} needs {len(plan.down)}"
            )
        widths = [3, *(channels * factor for factor in factors)]
        blocks: list[nn.Module] = []
        side = image_size
        self.extent = 0
        for number, (inputs, outputs) in enumerate(pairwise(widths)):
            first = number == 0
            self.extent = max(self.extent, outputs * side)
            side = side // 2 if plan.down[number] else side
            blocks.append(DiscriminatorBlock(inputs, outputs, plan.down[number], first, inplace_skip))
            if attention and first:
                blocks.append(SelfAttention(outputs))
        self.blocks = _nested(blocks)
        self.linear1 = spectral_norm(nn.Linear(widths[-1], 1))
        if n_conditions:
            self.embedding = spectral_norm(nn.Embedding(n_conditions, widths[-1]))
        initialise(self, init)

    def encode(self, images: Tensor) -> Tensor:
        """h (N, C): features of images (N, 3, size, size), summed over positions."""
        if images.shape[1:] != (3, self.image_size, self.image_size):
            raise ValueError(
                f"images have shape {tuple(images.shape)}, expected (N, 3, {self.image_size}, "
                f"{self.image_size}): image_size of the discriminator and of the data must agree"
            )
        x = fast_layout(images, self, self.extent)
        for block in _unnested(self.blocks):
            x = block(x)
        return F.relu(x).sum(dim=(2, 3))  # (N, C, h, w) -> (N, C)

    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        """Logits (N,) of h (N, C). Labels of -1, or no condition at all, leave only the unconditional part.

        ``condition.labels`` count before ``condition.weights`` (a soft choice among the classes).

        Raises:
            ValueError: for a condition that does not fit the classes.
        """
        score = self.linear1(features).squeeze(1)  # (N,)
        if condition is None or not self.n_conditions:
            return score
        return score + (self._projection(condition) * features).sum(dim=1)

    def _projection(self, condition: Condition) -> Tensor:
        """(N, C) rows of the embedding; zero where the label is hidden."""
        name = type(self).__name__
        if condition.labels is not None:
            check_labels(condition.labels, self.n_conditions, name, hidden=True)
            rows = self.embedding(condition.labels.clamp(min=0))  # (N, C)
            return rows * (condition.labels >= 0).unsqueeze(1)
        if condition.weights is not None:
            check_weights(condition.weights, self.n_conditions, name)
            # all rows through the layer, whose hook divides them by the largest singular value
            classes = torch.arange(self.n_conditions, device=condition.weights.device)
            return condition.weights.to(self.linear1.bias.dtype) @ self.embedding(classes)
        raise ValueError(
            f"{name} judges under {self.n_conditions} classes: give condition.labels (N,), or "
            f"condition=None for the unconditional score"
        )


# structure and checks


def _nested(blocks: list[nn.Module]) -> nn.ModuleList:
    """StudioGAN's names are blocks.N.0."""
    return nn.ModuleList(nn.ModuleList([block]) for block in blocks)


def _unnested(blocks: nn.ModuleList) -> Iterator[nn.Module]:
    for stage in blocks:
        yield from stage.children()


def plan_for(image_size: int) -> Plan:
    """The plan of an image size.

    Raises:
        ValueError: for a size without one.
    """
    if image_size not in PLANS:
        raise ValueError(f"image_size={image_size!r} has no BigGAN plan; choose from {sorted(PLANS)}")
    return PLANS[image_size]


def check_layers(layers: Sequence[str], known: Sequence[str]) -> None:
    """Raise ValueError for a name that is not among the ``known``."""
    for layer in layers:
        if layer not in known:
            raise ValueError(
                f"layers: {layer!r} is not a feature layer; choose from {list(known)}{near(layer, known)}"
            )


def _check_divides(latent_dim: int, chunks: int) -> None:
    if latent_dim < chunks or latent_dim % chunks:
        below = max(latent_dim // chunks, 1) * chunks
        raise ValueError(
            f"latent_dim={latent_dim} cannot be cut into {chunks} equal chunks (blocks + 1); "
            f"take {below} or {below + chunks}"
        )
