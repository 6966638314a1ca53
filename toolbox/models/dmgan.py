"""DM-GAN: AttnGAN's stages with a dynamic memory of the words in place of attention (Zhu et al. 2019).

State dicts of the authors' repository load as they are (``load_state_dict``, strict). Its discriminators'
spectral norm has other names than torch's, which are translated. It takes a power step in eval mode too;
ours in train mode only, from the same vectors, which after training makes no difference.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox.models.attngan import AttnGANDiscriminator, AttnGANGenerator, NextStage, ResBlock, attend
from toolbox.models.layers import SmallMapConv2d, spectral_norm

_THEIRS = ".module.weight_bar"


class TwiceResBlock(ResBlock):
    """A residual block of a map beside itself, [x, x]: its first convolution needs to see x but once."""

    def forward(self, x: Tensor) -> Tensor:
        """x (N, width / 2, H, W) -> (N, width, H, W)."""
        first, *others = self.block
        assert isinstance(first, nn.Conv2d)
        of_both = first.weight[:, : x.shape[1]] + first.weight[:, x.shape[1] :]
        y = F.conv2d(x, of_both, padding=1)
        for layer in others:
            y = layer(y)
        return torch.cat([x, x], dim=1) + y


class MemoryStage(NextStage):
    """A map and words to a map of twice the size, through a memory that the map itself writes.

    The memory mixes words and the map's mean by a gate for each word (eq. 2 to 5); each pixel reads it by
    attention (eq. 6 and 7), and a gate mixes what it reads into the map (eq. 8 and 9).
    """

    first_block = TwiceResBlock

    def look(self, channels: int, code_dim: int) -> None:
        """Make the layers of :meth:`with_words`."""
        wide = 2 * channels
        self.A = nn.Linear(code_dim, 1, bias=False)
        self.B = nn.Linear(channels, 1, bias=False)
        self.M_r = nn.Sequential(nn.Conv1d(channels, wide, 1), nn.ReLU())
        self.M_w = nn.Sequential(nn.Conv1d(code_dim, wide, 1), nn.ReLU())
        self.key = nn.Sequential(nn.Conv1d(wide, channels, 1), nn.ReLU())
        self.value = nn.Sequential(nn.Conv1d(wide, channels, 1), nn.ReLU())
        self.response_gate = nn.Sequential(nn.Conv2d(wide, 1, 1), nn.Sigmoid())

    def memory(self, h: Tensor, words: Tensor) -> Tensor:
        """(N, 2 * channels, L); no gradient flows to the map through it."""
        mean = h.detach().mean(dim=(2, 3))  # (N, channels)
        gate = torch.sigmoid(self.A(words.transpose(1, 2)) + self.B(mean)[:, None])  # (N, L, 1)
        gate = gate.transpose(1, 2)
        return gate * self.M_w(words) + (1 - gate) * self.M_r(mean[..., None])

    def with_words(self, h: Tensor, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The map with what it reads, as :attr:`residual` takes it; the attention (N, L, H, W)."""
        memory = self.memory(h, words)
        keys, values = self.key(memory).transpose(1, 2), self.value(memory).transpose(1, 2)
        read, attention = attend(h, keys, values, mask)
        gate = self.response_gate(torch.cat([h, read], dim=1))  # (N, 1, H, W)
        mixed = torch.lerp(h, read, gate)
        joined = mixed if len(self.residual) else torch.cat([mixed, mixed], dim=1)
        return joined, attention


class DMGANGenerator(AttnGANGenerator):
    """DM-GAN's generator: an :class:`AttnGANGenerator` whose later stages have a dynamic memory.

    Arguments as there; ``channels`` are 64 for CUB and COCO, ``residual_blocks`` 2 and 3.
    """

    stage = MemoryStage

    def __init__(
        self,
        channels: int = 64,
        residual_blocks: int = 2,
        image_size: int = 256,
        stages: int = 3,
        noise_dim: int = 100,
        condition_dim: int = 100,
        code_dim: int = 256,
        mask_mode: str = "correct",
        init: str = "orthogonal",
    ) -> None:
        super().__init__(
            channels,
            residual_blocks,
            image_size,
            stages,
            noise_dim,
            condition_dim,
            code_dim,
            mask_mode,
            init,
        )


class DMGANDiscriminator(AttnGANDiscriminator):
    """DM-GAN's discriminator: an :class:`AttnGANDiscriminator` with spectral norm in BatchNorm's place.

    Arguments as there; ``channels`` are 32 for CUB and COCO.
    """

    def __init__(
        self,
        channels: int = 32,
        image_size: int = 64,
        code_dim: int = 256,
        unconditional: bool = True,
        init: str = "orthogonal",
    ) -> None:
        super().__init__(channels, image_size, code_dim, unconditional, init)
        self.register_load_state_dict_pre_hook(_translate)

    def block(self, width: int, out: int, kernel: int, norm: bool = True) -> list[nn.Module]:
        """Layers of a convolution: 4 wide halves the size, 3 wide keeps it."""
        convolution = SmallMapConv2d(width, out, kernel, stride=kernel - 2, padding=1)
        return [spectral_norm(convolution, eps=1e-12), nn.LeakyReLU(0.2, inplace=True)]


def from_official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A discriminator's state dict of the authors' repository in our names; the values are the same."""
    layers = [key.removesuffix(_THEIRS) for key in state if key.endswith(_THEIRS)]
    ours = {}
    for key, value in state.items():
        owner, _, entry = key.rpartition(".module.")
        if owner in layers:
            key = f"{owner}.{'weight_orig' if entry == 'weight_bar' else entry}"
        ours[key] = value
    return ours


def _translate(network: nn.Module, state: dict[str, Tensor], prefix: str, *_: object) -> None:
    """Hook of ``load_state_dict``: names of that repository are translated, ours pass."""
    own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    if any(key.endswith(_THEIRS) for key in own):
        for key in own:
            del state[prefix + key]
        state.update({prefix + key: value for key, value in from_official(own).items()})
