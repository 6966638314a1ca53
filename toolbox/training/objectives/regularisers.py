"""Loss terms that keep a game stable: R1, WGAN-GP's penalty and drift, path length."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from toolbox import ranks
from toolbox.interfaces import Objective, Sample, Turn, normal_rows
from toolbox.losses import regularisers
from toolbox.ranges import check_in, check_not_negative, check_whole


class R1(Objective):
    """Zero-centred gradient penalty on real images (Mescheder et al. 2018).

    Args:
        gamma: strength.
        discriminator: name of the network.
    """

    float32 = True

    def __init__(self, gamma: float = 10.0, discriminator: str = "discriminator") -> None:
        super().__init__()
        check_not_negative(gamma=gamma)
        self.gamma = gamma
        self.discriminator = discriminator
        self.formulas = {discriminator: f"{gamma:g}/2 E |grad_x D(x)|^2"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The discriminator's."""
        return {self.discriminator: self.penalty}

    def penalty(self, turn: Turn) -> Tensor:
        """gamma/2 of the mean squared gradient norm."""
        images = turn.real.images.detach().requires_grad_(True)
        logits = turn.score(self.discriminator, turn.real.replace(images=images))
        return regularisers.r1_penalty(images, logits, self.gamma)


class PathLength(Objective):
    """Path length regularisation: a step in w changes the image equally everywhere (StyleGAN2, section 3.2).

        E (|J_w^T y| - a)^2,  y ~ N(0, I) / sqrt(pixels),  a = running mean of |J_w^T y|

    StyleGAN2 computes it every 4 steps (its phase's ``every``) with weight 2. The generator must be the
    game's and give its styles in ``sample.extras['ws']``.

    Args:
        generator: name of the network.
        decay: how fast a moves, in (0, 1].
        shrink: computed on a batch so many times smaller, to save memory.
    """

    float32 = True

    mean: Tensor
    moved: Tensor
    moved_at: Tensor

    def __init__(self, generator: str = "generator", decay: float = 0.01, shrink: int = 2) -> None:
        super().__init__()
        check_in("(0, 1]", decay=decay)
        check_whole(1, shrink=shrink)
        self.generator = generator
        self.decay = decay
        self.shrink = shrink
        formula = "E (|J_w^T y| - a)^2, y ~ N(0, I) / sqrt(pixels), a = running mean of |J_w^T y|"
        self.formulas = {generator: formula}
        self.register_buffer("mean", torch.zeros(()))  # a before the iteration ``moved_at``
        self.register_buffer("moved", torch.zeros(()))  # a after it
        self.register_buffer("moved_at", torch.tensor(-1))

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The generator's."""
        return {self.generator: self.penalty}

    def penalty(self, turn: Turn) -> Tensor:
        """Mean squared deviation from a, which includes this batch (of all ranks) and carries gradient."""
        lengths = ranks.gather_rows_with_gradient(self._lengths(turn))
        # a moves once an iteration, however often this is asked for
        start = torch.where(self.moved_at == turn.iteration, self.mean, self.moved)
        mean = torch.lerp(start, lengths.mean(), self.decay)
        with torch.no_grad():
            self.mean.copy_(start)
            self.moved.copy_(mean)
            self.moved_at.fill_(turn.iteration)
        return (lengths - mean).square().mean()

    def log(self) -> dict[str, Tensor]:
        """The running mean."""
        return {"mean_length": self.moved.detach().clone()}

    def _lengths(self, turn: Turn) -> Tensor:
        """(n,) of a batch of its own, the size of the turn's divided by ``shrink``, with its gradients."""
        fake = turn.fewer_fakes(self.shrink)
        rows = len(turn.real)
        if "ws" not in fake.extras:
            name = type(turn.network(self.generator)).__name__
            raise ValueError(f"PathLength needs a style-based generator; {name} gives no extras['ws']")
        y = normal_rows(rows, *fake.images.shape[1:], rng=turn.rng, device=fake.images.device)
        return regularisers.path_lengths(fake.images, fake.extras["ws"], y[:: self.shrink].to(fake.images))


class GradientPenalty(Objective):
    """Two-sided gradient penalty between real and generated images (WGAN-GP, eq. 3).

        strength E (|grad D(x')| - 1)^2,   x' = e x + (1 - e) G(z),  e ~ U(0, 1) for each image

    Args:
        strength: 10 in WGAN-GP and PGGAN.
        discriminator: name of the network.
    """

    float32 = True

    def __init__(self, strength: float = 10.0, discriminator: str = "discriminator") -> None:
        super().__init__()
        check_not_negative(strength=strength)
        self.strength = strength
        self.discriminator = discriminator
        self.formulas = {discriminator: f"{strength:g} E (|grad D(e x + (1 - e) G(z))| - 1)^2, e ~ U(0, 1)"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The discriminator's."""
        return {self.discriminator: self.penalty}

    def penalty(self, turn: Turn) -> Tensor:
        """Judged under the real images' condition."""

        def judged(images: Tensor) -> Tensor:
            return turn.score(self.discriminator, Sample(images, turn.real.condition))

        return regularisers.gradient_penalty(
            judged, turn.real.images, turn.fake.images, self.strength, turn.rng
        )


class Drift(Objective):
    """E D(x)^2, which keeps a Wasserstein discriminator's output near zero.

    PGGAN (appendix A.1) has it with weight 0.001.

    Args:
        discriminator: name of the network.
    """

    def __init__(self, discriminator: str = "discriminator") -> None:
        super().__init__()
        self.discriminator = discriminator
        self.formulas = {discriminator: "E D(x)^2"}

    def losses(self) -> Mapping[str, Callable[[Turn], Tensor]]:
        """The discriminator's."""
        return {self.discriminator: self.penalty}

    def penalty(self, turn: Turn) -> Tensor:
        """Of the logits that the adversarial term looks at too."""
        return turn.score(self.discriminator, turn.real).square().mean()
