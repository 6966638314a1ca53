"""GALIP: text to image with a frozen CLIP in the generator and in the discriminator.

Tao, Bao, Tang, Xu: GALIP: Generative Adversarial CLIPs for Text-to-Image Synthesis, CVPR 2023. With 64
channels and ViT-B/32 the generator has 51,830,211 parameters beside CLIP's, the discriminator 28,706,821 and
its head 2,099,200. Names are those of the authors' code, tobran/GALIP, whose state dicts load.

CLIP is borrowed (``uses=dict(clip='clip')``) and is then in no state dict. Published weights need OpenAI's
ViT-B/32 with quick-GELU.

From the small to the large: layers, the generator and its parts, the discriminator. How they see through CLIP
is in :mod:`toolbox.models.clip_blocks`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.interfaces import Condition, Discriminator, Generator
from toolbox.models.clip import Clip
from toolbox.models.clip_blocks import ClipView, ThroughClip
from toolbox.models.conditions import sentence_of
from toolbox.models.layers import LeakyReLU, UpsampleConv2d, fast_layout
from toolbox.models.ssagan import falling_widths
from toolbox.ranges import check_whole, given

CLIP_IN_GENERATOR = "mapping.CLIP_ViT."
"""Where published generators keep their copy of CLIP."""


# layers


class ConditionMLP(nn.Module):
    """A number for each channel, out of the condition: Linear, ReLU, Linear; ``start`` for each first."""

    def __init__(self, condition_dim: int, channels: int, start: float) -> None:
        super().__init__()
        self.linear1 = nn.Linear(condition_dim, channels)
        self.linear2 = nn.Linear(channels, channels)
        nn.init.zeros_(self.linear2.weight)
        nn.init.constant_(self.linear2.bias, start)

    def forward(self, c: Tensor) -> Tensor:
        """(N, condition_dim) -> (N, channels, 1, 1)."""
        return self.linear2(F.relu(self.linear1(c)))[:, :, None, None]


class Affine(nn.Module):
    """gamma(c) x + beta(c), a pair for each channel; x itself first."""

    def __init__(self, channels: int, condition_dim: int) -> None:
        super().__init__()
        self.fc_gamma = ConditionMLP(condition_dim, channels, start=1.0)
        self.fc_beta = ConditionMLP(condition_dim, channels, start=0.0)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """x (N, channels, H, W), c (N, condition_dim)."""
        return torch.addcmul(self.fc_beta(c), self.fc_gamma(c), x)


class DeepFusion(nn.Module):
    """Affine, LReLU, affine, LReLU (DF-GAN's fusion block)."""

    def __init__(self, channels: int, condition_dim: int) -> None:
        super().__init__()
        self.affine0 = Affine(channels, condition_dim)
        self.affine1 = Affine(channels, condition_dim)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """x (N, channels, H, W), c (N, condition_dim)."""
        x = F.leaky_relu(self.affine0(x, c), 0.2)
        return F.leaky_relu(self.affine1(x, c), 0.2)


# generator


class BridgeBlock(nn.Module):
    """x + [conv3x3, fusion, conv3x3, fusion], narrow in between."""

    def __init__(self, channels: int, hidden: int, condition_dim: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, hidden, 3, padding=1)
        self.fuse1 = DeepFusion(hidden, condition_dim)
        self.conv2 = nn.Conv2d(hidden, channels, 3, padding=1)
        self.fuse2 = DeepFusion(channels, condition_dim)

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """x (N, channels, h, w), c (N, condition_dim)."""
        return x + self.fuse2(self.conv2(self.fuse1(self.conv1(x), c)), c)


class ClipMapper(ThroughClip):
    """A code to a feature map through CLIP's transformer, which prompts of the condition steer (section 3.3).

        F = bridge(code, c),   M = ViT(F; prompts(c)),   output = conv5x5 (F + 0.1 M)

    Each block in ``prompted`` sees one prompt behind its tokens, and what it makes of it is dropped. Of a
    config CLIP's blocks are part of the state dict, as in published files.
    """

    def __init__(
        self,
        clip: Clip | Mapping[str, Any],
        latent_dim: int,
        code_dim: int | None,
        code_channels: int,
        bridge_blocks: int,
        prompted: Sequence[int],
        outputs: int,
    ) -> None:
        super().__init__(clip)
        self.prompted = self.check_blocks("prompted", prompted)
        self.code_dim = code_dim or self.embedding_dim
        both = latent_dim + self.code_dim
        hidden = max(code_channels // 2, 1)
        self.FBlocks = nn.ModuleList(BridgeBlock(code_channels, hidden, both) for _ in range(bridge_blocks))
        self.conv_fuse = nn.Conv2d(code_channels, self.width, 5, padding=2)
        if self._owned:
            self.CLIP_ViT = self._without_head()
        self.conv = nn.Conv2d(self.width, outputs, 5, padding=2)
        self.fc_prompt = nn.Linear(both, self.width * len(self.prompted))

    @property
    def visual(self) -> Any:
        """CLIP's image encoder."""
        own = self._modules.get("CLIP_ViT")
        return super().visual if own is None else own

    def _without_head(self) -> nn.Module:
        """The image encoder alone, up to its last block; the rest of CLIP is let go."""
        visual = self.clip.model.visual
        visual.ln_post, visual.proj = nn.Identity(), None
        self._clip = ()
        frozen: nn.Module = visual.requires_grad_(False)
        return frozen

    def forward(self, code: Tensor, c: Tensor) -> Tensor:
        """code (N, code_channels, h, w), c (N, condition_dim) -> (N, outputs, h, w)."""
        for block in self.FBlocks:
            code = block(code, c)
        bridge = self.conv_fuse(code)  # (N, width, h, w)
        prompts = self.fc_prompt(c).unflatten(1, (len(self.prompted), 1, self.width))
        tokens = self.tokens(bridge)
        for number in range(self.n_blocks):
            if number in self.prompted:
                prompt = prompts[:, self.prompted.index(number)].to(tokens.dtype)  # (N, 1, width)
                tokens = self.block(number, torch.cat([tokens, prompt], dim=1))[:, :-1]
            else:
                tokens = self.block(number, tokens)
        return self.conv(bridge + 0.1 * self.patches(tokens))


class GeneratorBlock(nn.Module):
    """Nearest resize to ``size``, then skip + [fusion, conv3x3, fusion, conv3x3]; skip a conv1x1 if need be.

    What commutes with the resize happens before it; a doubling and its convolution are one.
    """

    def __init__(self, inputs: int, outputs: int, condition_dim: int, before: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.doubles = size == 2 * before
        self.c1 = (UpsampleConv2d if self.doubles else nn.Conv2d)(inputs, outputs, 3, padding=1)
        self.c2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.fuse1 = DeepFusion(inputs, condition_dim)
        self.fuse2 = DeepFusion(outputs, condition_dim)
        self.c_sc = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        """x (N, inputs, h, w), c (N, condition_dim) -> (N, outputs, size, size)."""
        resize = partial(F.interpolate, size=(self.size, self.size), mode="nearest")
        main = self.fuse1(x, c)
        main = self.c1(main if self.doubles else resize(main))
        main = self.c2(self.fuse2(main, c))
        return main + resize(x if self.c_sc is None else self.c_sc(x))


def sizes_to(image_size: int) -> list[int]:
    """8, 16, ... below ``image_size``, then ``image_size`` itself: 128 -> 224 in the published network."""
    sizes = [8]
    while 2 * sizes[-1] < image_size:
        sizes.append(2 * sizes[-1])
    return [*sizes, image_size]


class GALIPGenerator(Generator):
    """Images of a latent and a sentence of CLIP's: the mapper, then blocks up to the image's size.

    Args:
        clip: a Clip with a vision transformer, borrowed; or its config: then its blocks are part of the state
            dict, as in published files.
        channels: width unit: blocks have 8 x channels, the last three 4, 2 and 1.
        image_size: at least 32; sizes are 8, 16, ... and last ``image_size``, doubled or less.
        latent_dim: numbers in one latent vector.
        code_dim: numbers in a sentence's code; None = CLIP's.
        code_channels: width of the code that the mapper takes.
        bridge_blocks: in the mapper, before CLIP.
        prompted: blocks of CLIP, counted from 0, that see a prompt each.

    Images are not bounded: there is no tanh.

    Raises:
        ValueError: for a CLIP without a vision transformer, or without the blocks that are asked for.
    """

    bounded = False

    def __init__(
        self,
        clip: Clip | Mapping[str, Any],
        channels: int = 64,
        image_size: int = 224,
        latent_dim: int = 100,
        code_dim: int | None = None,
        code_channels: int = 64,
        bridge_blocks: int = 4,
        prompted: Sequence[int] = (1, 2, 3, 4, 5, 6, 7, 8),
    ) -> None:
        super().__init__()
        check_whole(1, channels=channels, latent_dim=latent_dim, code_channels=code_channels)
        check_whole(1, bridge_blocks=bridge_blocks, **given(code_dim=code_dim))
        check_whole(32, image_size=image_size)
        sizes = sizes_to(image_size)
        widths = falling_widths(channels, len(sizes))
        self.image_size = image_size
        self.latent_dim = latent_dim
        self.mapping = ClipMapper(
            clip, latent_dim, code_dim, code_channels, bridge_blocks, prompted, widths[0]
        )
        self.code_dim = self.mapping.code_dim
        both = latent_dim + self.code_dim
        grid = self.mapping.grid
        self.code_shape = (code_channels, grid, grid)
        self.extent = max(width * size for width, size in zip(widths, sizes, strict=False))  # channels x side
        self.fc_code = nn.Linear(latent_dim, code_channels * grid**2)
        self.GBlocks = nn.ModuleList(
            GeneratorBlock(inputs, outputs, both, before, size)
            for (inputs, outputs), (before, size) in zip(
                pairwise(widths), pairwise([grid, *sizes]), strict=True
            )
        )
        self.to_rgb = nn.Sequential(nn.LeakyReLU(0.2), nn.Conv2d(widths[-1], 3, 3, padding=1))
        self.register_load_state_dict_pre_hook(_translate)

    def from_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state dict of the authors' code (of netG, or of all networks) by our names, in float32.

        Its copy of CLIP, often in half precision, is dropped where CLIP is borrowed.

        Raises:
            ValueError: where the borrowed CLIP is another one.
        """
        ours = published(state)
        own = {key.removeprefix("netG."): value for key, value in ours.items() if key.startswith("netG.")}
        ours = own or ours
        if self.mapping._owned:
            return ours
        check_clip(self.mapping, ours)
        return {key: value for key, value in ours.items() if not key.startswith(CLIP_IN_GENERATOR)}

    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        """Images (N, 3, size, size), mostly in [-1, 1], from latents (N, latent_dim) and ``condition.codes``.

        Raises:
            ValueError: for a condition without sentence codes of ``code_dim`` numbers.
        """
        sentence = sentence_of(condition, self.code_dim, type(self).__name__, "code_dim")
        c = torch.cat([latents, sentence.to(latents.dtype)], dim=1)
        x = self.mapping(self.fc_code(latents).unflatten(1, self.code_shape), c)
        x = fast_layout(x, self, self.extent)
        for block in self.GBlocks:
            x = block(x, c)
        return self.to_rgb(x)


# discriminator


class TapBlock(nn.Module):
    """x + gamma [conv3x3, LReLU, conv3x3, LReLU](x) + beta tap; gamma = beta = 0 first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))
        self.beta = nn.Parameter(torch.zeros(1))
        self.conv_r = _residual(channels, channels)
        self.conv_s = nn.Conv2d(channels, channels, 1).requires_grad_(
            False
        )  # unused; published files have it

    def forward(self, x: Tensor, tap: Tensor) -> Tensor:
        """Both (N, channels, h, w)."""
        return torch.addcmul(torch.addcmul(x, self.gamma, self.conv_r(x)), self.beta, tap)


class LastBlock(nn.Module):
    """conv1x1 x + gamma [conv3x3, LReLU, conv3x3, LReLU](x); gamma = 0 first."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))
        self.conv_r = _residual(inputs, outputs)
        self.conv_s = nn.Conv2d(inputs, outputs, 1)
        self.skips = inputs == outputs
        if self.skips:
            self.conv_s.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, h, w) -> (N, outputs, h, w)."""
        return torch.addcmul(x if self.skips else self.conv_s(x), self.gamma, self.conv_r(x))


def _residual(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        LeakyReLU(0.2),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        LeakyReLU(0.2),
    )


class MateDiscriminator(nn.Module):
    """Taps of CLIP, the first refined block by block with the help of the next (section 3.2)."""

    def __init__(self, width: int, n_taps: int, outputs: int) -> None:
        super().__init__()
        self.DBlocks = nn.ModuleList(TapBlock(width) for _ in range(n_taps - 1))
        self.main = LastBlock(width, outputs)

    def forward(self, taps: Tensor) -> Tensor:
        """(N, K, width, h, w) -> (N, outputs, h, w)."""
        x = taps[:, 0]
        for number, block in enumerate(self.DBlocks, start=1):
            x = block(x, taps[:, number])
        return self.main(x)


class SentenceHead(nn.Module):
    """Logits of feature maps beside the sentence, at every place the same; convolutions without padding."""

    def __init__(self, inputs: int, hidden: int, condition_dim: int, grid: int) -> None:
        super().__init__()
        self.joint_conv = nn.Sequential(
            nn.Conv2d(inputs + condition_dim, hidden, 4, bias=False),
            LeakyReLU(0.2),
            nn.Conv2d(hidden, 1, grid - 3, bias=False),
        )

    def forward(self, features: Tensor, sentence: Tensor) -> Tensor:
        """(N, inputs, grid, grid), (N, condition_dim) -> (N,)."""
        tiled = sentence[:, :, None, None].expand(-1, -1, *features.shape[2:])
        return self.joint_conv(torch.cat([features, tiled.to(features.dtype)], dim=1)).flatten()


class GALIPDiscriminator(ThroughClip, Discriminator):
    """Real and matching, or not, judged on what a frozen CLIP sees; there is no unconditional logit.

    Train it with MatchingHinge(wrap=True), MatchingAwarePenalty and, for the generator,
    ClipSimilarity; with ``fakes='shared'`` each batch passes through CLIP once an iteration.

    Args:
        clip: a Clip with a vision transformer, borrowed; or its config.
        channels: width unit.
        code_dim: numbers in a sentence's code; None = CLIP's.
        taps: blocks of CLIP, counted from 0, whose tokens are read.
        clip_double_rescale: images for CLIP as the authors' code makes them: nearest resize, and [-1, 1]
            brought to [0.5, 1] (halved twice), which published weights expect. False: as CLIP was trained on
            them, resized as the Clip does.

    Raises:
        ValueError: for a CLIP without a vision transformer, or without the blocks that are asked for.
    """

    def __init__(
        self,
        clip: Clip | Mapping[str, Any],
        channels: int = 64,
        code_dim: int | None = None,
        taps: Sequence[int] = (1, 4, 8),
        clip_double_rescale: bool = True,
    ) -> None:
        super().__init__(clip)
        check_whole(1, channels=channels, **given(code_dim=code_dim))
        self.taps = self.check_blocks("taps", taps)
        if not self.taps or self.grid < 4:
            raise ValueError(
                f"taps={self.taps} of {self.grid} x {self.grid} tokens: at least a tap and 4 x 4 tokens are "
                f"needed; {self.architecture!r} cuts its images into {self.grid} x {self.grid} patches"
            )
        self.clip_double_rescale = clip_double_rescale
        self.code_dim = code_dim or self.embedding_dim
        self.netD = MateDiscriminator(self.width, len(self.taps), 8 * channels)
        self.netC = SentenceHead(8 * channels, 2 * channels, self.code_dim, self.grid)
        self.register_load_state_dict_pre_hook(_translate)

    def from_published(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """A state dict of the authors' code, with netD and netC, by our names, in float32."""
        ours = published(state)
        own = {key: value for key, value in ours.items() if key.startswith(("netD.", "netC."))}
        return own or ours

    def look(self, images: Tensor) -> ClipView:
        """CLIP's view of images (N, 3, H, W) in [-1, 1]; gradients reach the images."""
        return self.view(self._prepared(images), self.taps)

    def _prepared(self, images: Tensor) -> Tensor:
        if not self.clip_double_rescale:
            return self.clip.preprocess(images)
        size = self.clip.image_size
        if tuple(images.shape[2:]) != size:
            images = F.interpolate(images, size=size, mode="nearest")
        return ((images + 3) / 4 - self.clip.mean) / self.clip.std  # [-1, 1] -> [0, 1] -> [0.5, 1]

    def encode(self, images: Tensor | ClipView) -> Tensor:
        """Features (N, 8 channels, h, w) of images (N, 3, H, W) in [-1, 1], or of CLIP's view of them."""
        seen = images if isinstance(images, ClipView) else self.look(images)
        return self.netD(seen.taps)

    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        """Logits (N,) of features and ``condition.codes``.

        Raises:
            ValueError: for a condition without sentence codes of ``code_dim`` numbers.
        """
        return self.netC(features, sentence_of(condition, self.code_dim, type(self).__name__, "code_dim"))


# published weights


def published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors of the authors' files in float32, without the 'model.' around, and DataParallel's 'module.'."""
    ours = {}
    for key, value in state.items():
        name = key.removeprefix("model.").removeprefix("module.")
        name = re.sub(r"^(net[GDC])\.module\.", r"\1.", name)
        ours[name] = value.float() if value.is_floating_point() else value
    return ours


def _translate(network: Any, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Hook of ``load_state_dict``: see ``from_published``."""
    own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    for key in own:
        del state[prefix + key]
    state.update({prefix + key: value for key, value in network.from_published(own).items()})


def check_clip(mapper: ClipMapper, state: Mapping[str, Tensor]) -> None:
    """Raise ValueError unless a published generator was trained through the CLIP at hand."""
    start = CLIP_IN_GENERATOR
    theirs = {key.removeprefix(start): value for key, value in state.items() if key.startswith(start)}
    name = mapper.architecture
    if theirs and not mapper.quick_gelu:
        raise ValueError(
            f"clip: published GALIPs were trained through OpenAI's CLIP, with quick-GELU; {name!r} has GELU: "
            f"take {name + '-quickgelu'!r}"
        )
    ours = dict(mapper.visual.state_dict())
    for key, value in theirs.items():
        if key not in ours or ours[key].shape != value.shape or not _alike(ours[key], value):
            raise ValueError(
                f"clip: the generator was trained through another CLIP than {name!r} with these weights "
                f"({start}{key} differs): take OpenAI's ('ViT-B-32-quickgelu', weights='openai')"
            )


def _alike(ours: Tensor, theirs: Tensor) -> bool:
    """Up to half precision."""
    theirs = theirs.to(ours)
    return bool(ours.is_meta or torch.allclose(ours.float(), theirs.float(), rtol=1e-3, atol=1e-4))
