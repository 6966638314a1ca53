"""The same text-to-image games in plain loops, which do what the authors' loops do.

Networks are twins of ours without what was made faster: resampling apart from its convolution, every
convolution torch's, the default layout, torch's LeakyReLU, DM-GAN's map concatenated with itself. In the
generator's step the discriminators' weights have gradients too, the matching of words goes caption by
caption, and CLIP reads captions with their padding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.benchmarks.text_games import BETAS, RATES, real_sizes
from toolbox.interfaces import Condition, TextCodes, from_bytes
from toolbox.models import attngan, dmgan, galip, layers, ssagan
from toolbox.models.borrowing import copy_sharing
from toolbox.training.game.game import Game

Step = Callable[[], None]
MODULES = ("attngan", "ssagan", "galip", "damsm")


# networks


class PlainUpsample(layers.UpsampleConv2d):
    """Larger first, then convolved."""

    def forward(self, x: Tensor) -> Tensor:
        return nn.Conv2d.forward(self, layers.upsample(x))


class PlainLeakyReLU(layers.LeakyReLU):
    """torch's."""

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, self.slope)


class PlainTwice(dmgan.TwiceResBlock):
    """The map beside itself is convolved as any other."""

    def forward(self, x: Tensor) -> Tensor:
        return attngan.ResBlock.forward(self, torch.cat([x, x], dim=1))


class PlainHalving(ssagan.DiscriminatorBlock):
    """The skip is reduced last."""

    def forward(self, x: Tensor) -> Tensor:
        skip = F.avg_pool2d(x if self.skips else self.conv_s(x), 2)
        return skip + self.gamma * self.conv_r(x)


class PlainBlock(galip.GeneratorBlock):
    """Everything happens at the larger size."""

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        x = F.interpolate(x, size=(self.size, self.size))
        main = nn.Conv2d.forward(self.c1, self.fuse1(x, c))
        main = self.c2(self.fuse2(main, c))
        return main + (x if self.c_sc is None else self.c_sc(x))


PLAIN: dict[type[nn.Module], type[nn.Module]] = {
    layers.UpsampleConv2d: PlainUpsample,
    layers.SmallMapConv2d: nn.Conv2d,
    layers.LeakyReLU: PlainLeakyReLU,
    dmgan.TwiceResBlock: PlainTwice,
    ssagan.DiscriminatorBlock: PlainHalving,
    galip.GeneratorBlock: PlainBlock,
}


def twin(network: nn.Module) -> Any:
    """A network of the same numbers, made of plain operations."""
    copy = copy_sharing(network)
    for module in copy.modules():
        module.__class__ = PLAIN.get(type(module), type(module))
    return copy


class Twins:
    """What a plain loop needs of a game: twins of its networks, an Adam each, and the batch."""

    def __init__(self, game: Game, model: str, batch: dict[str, Tensor], full: bool) -> None:
        rates = dict(zip(("generator", "discriminator"), RATES[model], strict=True))
        self.frozen: dict[str, Any] = {}
        self.networks: dict[str, Any] = {}
        self.steps: dict[str, torch.optim.Optimizer] = {}
        for name, network in game.networks.items():
            player = game.player_of(name)
            if player is None:
                self.frozen[name] = network
                continue
            self.networks[name] = own = twin(network).requires_grad_(True)
            self.steps[name] = torch.optim.Adam(own.parameters(), rates[player], BETAS[model])
        self.generator = self.networks["generator"]
        self.judges = [own for name, own in self.networks.items() if name != "generator"]
        self.judge_steps = [step for name, step in self.steps.items() if name != "generator"]
        sizes = real_sizes(model, full)
        names = [*(f"images{size}" for size in sizes[:-1]), "images"]
        self.images = [from_bytes(batch[name]) for name in names]
        self.text, self.labels = batch["text"], batch["labels"]
        self.average = [p.detach().clone() for p in self.generator.parameters()]

    def latents(self) -> Tensor:
        return torch.randn(len(self.text), self.generator.latent_dim)

    def damsm(self, images: Tensor, codes: TextCodes, gamma1: float) -> Tensor:
        """The four cross-entropies; captions are matched one by one."""
        whole, regions = self.frozen["image_encoder"].encode_images(images)
        words = caption_by_caption(regions, codes, gamma1)
        sentence = F.cosine_similarity(whole[:, None], codes.sentence[None], dim=2)
        own = torch.arange(len(images))
        scores = [10.0 * each for pair in (words, sentence) for each in (pair, pair.t())]
        return torch.stack([F.cross_entropy(each, own) for each in scores]).sum()


def caption_by_caption(regions: Tensor, texts: TextCodes, gamma1: float = 4.0, gamma2: float = 5.0) -> Tensor:
    """(I, T): each caption without its padding, against all images."""
    assert texts.words is not None and texts.lengths is not None
    flat, columns = regions.flatten(2), []
    for text, length in zip(texts.words, texts.lengths.tolist(), strict=True):
        own = text[:, :length].expand(len(flat), -1, -1)  # (I, D, L)
        shares = (flat.transpose(1, 2) @ own).softmax(dim=2)  # (I, R, L)
        seen = flat @ (gamma1 * shares).softmax(dim=1)  # (I, D, L)
        columns.append((gamma2 * F.cosine_similarity(seen, own, dim=1)).logsumexp(dim=1))
    return torch.stack(columns, dim=1)


def in_default_layout(step: Step) -> Step:
    """The step, in which no network chooses a layout."""

    def work() -> None:
        with pytest.MonkeyPatch.context() as patch:
            for module in MODULES:
                patch.setattr(f"toolbox.models.{module}.fast_layout", lambda x, *_, **__: x.contiguous())
            step()

    return work


# loops


def staged(own: Twins) -> Step:
    """AttnGAN, DM-GAN: a step of each discriminator, then the generator's through all of them."""

    def bce(logits: Tensor, target: float) -> Tensor:
        return F.binary_cross_entropy(logits.sigmoid(), torch.full_like(logits, target))

    def step() -> None:
        with torch.no_grad():
            codes = own.frozen["text_encoder"].encode_text(own.text, None)
        said, shifted = Condition(codes=codes), Condition(codes=TextCodes(codes.sentence[1:]))
        sample = own.generator.generate(own.latents(), said)
        fakes = [*(sample.extras[f"images{size}"] for size in own.generator.sizes[:-1]), sample.images]
        for judge, optimizer, real, fake in zip(own.judges, own.judge_steps, own.images, fakes, strict=True):
            optimizer.zero_grad()
            seen, made = judge.encode(real), judge.encode(fake.detach())
            right = bce(judge.judge(seen, said), 1) + bce(judge.judge(seen), 1)
            wrong = bce(judge.judge(made, said), 0) + bce(judge.judge(made), 0)
            wrong = wrong + bce(judge.judge(seen[:-1], shifted), 0)
            (right / 2 + wrong / 3).backward()
            optimizer.step()
        own.steps["generator"].zero_grad()
        loss = torch.zeros(())
        for judge, fake in zip(own.judges, fakes, strict=True):
            made = judge.encode(fake)
            loss = loss + bce(judge.judge(made, said), 1) + bce(judge.judge(made), 1)
        mu, logvar = sample.extras["mu"], sample.extras["logvar"]
        loss = loss - 0.5 * torch.mean(1 + logvar - mu.pow(2) - logvar.exp())
        (loss + 5.0 * own.damsm(fakes[-1], codes, 4.0)).backward()
        own.steps["generator"].step()
        for mean, parameter in zip(own.average, own.generator.parameters(), strict=True):
            mean.mul_(0.999).add_(parameter.detach(), alpha=0.001)

    return step


def hinge(logits: Tensor, sign: float) -> Tensor:
    return F.relu(1.0 - sign * logits).mean()


def penalty(logits: Tensor, *inputs: Tensor) -> Tensor:
    """2 mean |gradient|^6."""
    found = torch.autograd.grad(logits, inputs, torch.ones_like(logits), create_graph=True)
    joined = torch.cat([gradient.flatten(1) for gradient in found], dim=1)
    return 2.0 * joined.square().sum(dim=1).sqrt().pow(6).mean()


def ssagan_loop(own: Twins) -> Step:
    """The hinge, the penalty in a step of its own, the generator."""
    (judge,), (optimizer,), (real,) = own.judges, own.judge_steps, own.images

    def move(which: torch.optim.Optimizer, loss: Tensor) -> None:
        which.zero_grad()
        loss.backward()
        which.step()

    def step() -> None:
        with torch.no_grad():
            codes = own.frozen["text_encoder"].encode_text(own.text, None)
        said, shifted = Condition(codes=codes), Condition(codes=TextCodes(codes.sentence[1:]))
        seen = judge.encode(real)
        wrong = hinge(judge.judge(seen[:-1], shifted), -1)
        fake = own.generator(own.latents(), said)
        wrong = wrong + hinge(judge.judge(judge.encode(fake.detach()), said), -1)
        move(optimizer, hinge(judge.judge(seen, said), 1) + wrong / 2)
        leaf, sentence = real.clone().requires_grad_(), codes.sentence.clone().requires_grad_()
        logits = judge.judge(judge.encode(leaf), Condition(codes=TextCodes(sentence)))
        move(optimizer, penalty(logits, leaf, sentence))
        loss = -judge.judge(judge.encode(fake), said).mean()
        move(own.steps["generator"], loss + 0.05 * own.damsm(fake, codes, 5.0))

    return step


def galip_loop(own: Twins) -> Step:
    """Hinge and penalty in one step, the penalty on what the hinge computed; CLIP sees each image once."""
    (judge,), (optimizer,), (real,), clip = own.judges, own.judge_steps, own.images, own.frozen["clip"]

    def step() -> None:
        with torch.no_grad():
            sentence = clip.encode_embeddings(clip.embed_tokens(own.text), own.text)  # padding and all
            view = judge.look(real)
        taps, sentence = view.taps.requires_grad_(), sentence.requires_grad_()
        seen = judge.netD(taps)
        right = judge.netC(seen, sentence)
        wrong = hinge(judge.netC(seen, sentence.roll(-1, dims=0).detach()), -1)
        said = Condition(codes=TextCodes(sentence.detach()))
        fake = own.generator(own.latents(), said)
        view = judge.look(fake)
        wrong = wrong + hinge(judge.judge(judge.netD(view.taps.detach()), said), -1)
        optimizer.zero_grad()
        (hinge(right, 1) + wrong / 2 + penalty(right, taps, sentence)).backward()
        optimizer.step()
        loss = -judge.judge(judge.netD(view.taps), said).mean()
        loss = loss - 4.0 * F.cosine_similarity(view.embedding, sentence.detach()).mean()
        own.steps["generator"].zero_grad()
        loss.backward()
        own.steps["generator"].step()

    return step


LOOPS: dict[str, Callable[[Twins], Step]] = dict(
    attngan=staged, dmgan=staged, ssagan=ssagan_loop, galip=galip_loop
)


def plain_iteration(game: Game, model: str, batch: dict[str, Tensor], full: bool) -> Step:
    """One iteration of the game in a plain loop, from the game's present weights."""
    return in_default_layout(LOOPS[model](Twins(game, model, batch, full)))
