"""GauGAN's loss terms (SPADE, sec. 3 and appendix A; their weights are the config's)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from toolbox.interfaces import Condition, Objective, Turn
from toolbox_klish.uscs.judges import Maps


class MultiscaleHinge(Objective):
    """Hinge loss of patches, averaged over scales (Lim & Ye 2017; Wang et al. 2018).

    Args:
        discriminator: name of a :class:`MultiscalePatchDiscriminator`.
        generator: name of the network that is judged.
    """

    def __init__(self, discriminator: str = "discriminator", generator: str = "generator") -> None:
        super().__init__()
        self.discriminator = discriminator
        self.generator = generator
        self.formulas = {
            discriminator: "mean over scales s of E relu(1 - D_s(x, m)) + E relu(1 + D_s(G(z, m), m))",
            generator: "-mean over scales s of E D_s(G(z, m), m)",
        }

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """Both sides of the game."""
        return {self.discriminator: self.discriminator_loss, self.generator: self.generator_loss}

    def discriminator_loss(self, turn: Turn) -> Tensor:
        """Tell real patches from generated ones."""
        real, fake = both_maps(turn, self.discriminator)
        each = [F.relu(1 - r[-1]).mean() + F.relu(1 + f[-1]).mean() for r, f in zip(real, fake, strict=True)]
        return torch.stack(each).mean()

    def generator_loss(self, turn: Turn) -> Tensor:
        """Be taken for real."""
        _, fake = both_maps(turn, self.discriminator)
        return -torch.stack([scale[-1].mean() for scale in fake]).mean()


class FeatureMatching(Objective):
    """Generated images look to the discriminator like the real ones of their masks (Wang et al. 2018, eq. 3).

        mean over scales s of sum over layers i of mean |D_s^i(x, m) - D_s^i(G(z, m), m)|

    Layers but the last, which gives the logits.

    Args:
        discriminator: name of a :class:`MultiscalePatchDiscriminator`.
        generator: name of the network that learns by it.
    """

    def __init__(self, discriminator: str = "discriminator", generator: str = "generator") -> None:
        super().__init__()
        self.discriminator = discriminator
        self.generator = generator
        self.formulas = {generator: "mean over scales of sum_i mean |D_i(x, m) - D_i(G(z, m), m)|"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The generator's."""
        return {self.generator: self.distance}

    def distance(self, turn: Turn) -> Tensor:
        """Of pairs of one mask."""
        real, fake = both_maps(turn, self.discriminator)
        check_pairs(turn, type(self).__name__)
        return feature_distance(real, fake)


class PerceptualMatching(Objective):
    """Generated images look to a frozen network like the real ones of their masks (Johnson et al. 2016).

        sum over layers i of w_i mean |phi_i(x) - phi_i(G(z, m))|

    Args:
        network: name of a network that gives maps, and has their ``layer_weights`` (:class:`VGG19Maps`).
        generator: name of the network that learns by it.
    """

    def __init__(self, network: str = "perceptual", generator: str = "generator") -> None:
        super().__init__()
        self.network = network
        self.generator = generator
        self.formulas = {generator: "sum_i w_i mean |phi_i(x) - phi_i(G(z, m))|"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The generator's."""
        return {self.generator: self.distance}

    def distance(self, turn: Turn) -> Tensor:
        """Of pairs of one mask."""
        check_pairs(turn, type(self).__name__)
        network = turn.network(self.network)
        real = turn.frozen(("maps", self.network), lambda: network(turn.real.images))
        pairs = zip(network.layer_weights, real, network(turn.fake.images), strict=True)
        return torch.stack([weight * F.l1_loss(f, r) for weight, r, f in pairs]).sum()


class StyleKL(Objective):
    """KL(N(mu, exp(logvar)) || N(0, 1)), summed over the latent, mean over images (Kingma & Welling 2014).

        -1/2 sum (1 + logvar - mu^2 - exp(logvar))

    SPADE's code sums over the images of each GPU; at the paper's eight of eight GPUs that is the same.

    Args:
        encoder: name of the network that gives mu and logvar.
    """

    def __init__(self, encoder: str = "encoder") -> None:
        super().__init__()
        self.encoder = encoder
        self.formulas = {encoder: "-1/2 E sum (1 + logvar - mu^2 - exp(logvar))"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The encoder's, which moves with the generator."""
        return {self.encoder: self.divergence}

    def divergence(self, turn: Turn) -> Tensor:
        """Of the fakes' latents.

        Raises:
            ValueError: for fakes that no encoder has seen the real images of.
        """
        extras = turn.fake.extras
        if "mu" not in extras:
            raise ValueError(
                "StyleKL: the fakes' latents come from no encoder: give the generator "
                "uses=dict(encoder='encoder') and the game conditioner=dict(type='MaskConditions', ...)"
            )
        return kl_divergence(extras["mu"], extras["logvar"])


def both_maps(turn: Turn, discriminator: str) -> tuple[Maps, Maps]:
    """Maps of the real and of the generated images, from one pass; once a turn."""

    def look() -> tuple[Maps, Maps]:
        real, fake = turn.real, turn.fake
        images = torch.cat([turn.seen(discriminator, real), turn.seen(discriminator, fake)])
        masks = [sample.condition.mask for sample in (real, fake)]
        if any(mask is None for mask in masks):
            raise ValueError("images without masks: conditioner=dict(type='MaskConditions', ...) gives some")
        together = Condition(mask=torch.cat([mask for mask in masks if mask is not None]))
        found = turn.network(discriminator).maps(images, together)
        n = len(real)
        return [[m[:n] for m in scale] for scale in found], [[m[n:] for m in scale] for scale in found]

    found: tuple[Maps, Maps] = turn.once(("maps", discriminator), look)
    return found


def feature_distance(real: Maps, fake: Maps) -> Tensor:
    """Mean over scales of the summed L1 distances of all maps but the last; no gradient to the real ones."""
    scales = zip(real, fake, strict=True)
    each = [
        torch.stack([F.l1_loss(f, r.detach()) for r, f in zip(reals[:-1], fakes[:-1], strict=True)]).sum()
        for reals, fakes in scales
    ]
    return torch.stack(each).mean()


def kl_divergence(mu: Tensor, logvar: Tensor) -> Tensor:
    """Mean over images of KL(N(mu, exp(logvar)) || N(0, 1)), both (N, D)."""
    each = -0.5 * (1 + logvar - mu.square() - logvar.exp())
    return each.sum(dim=1).mean()


def check_pairs(turn: Turn, objective: str) -> None:
    """Refuse fakes that have other masks than the real images beside them; asked once a turn.

    Raises:
        ValueError: naming the option.
    """

    def check() -> bool:
        real, fake = turn.real.condition.mask, turn.fake.condition.mask
        if real is not None and fake is real:
            return True
        if real is None or fake is None or not torch.equal(real, fake):
            raise ValueError(
                f"{objective} compares fakes with the real images of the same masks: "
                "conditioner=dict(type='MaskConditions', own_masks=True, ...)"
            )
        return True

    turn.once("pairs of one mask", check)
