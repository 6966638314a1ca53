"""The conformance check of objectives, and a turn to try them on."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from toolbox import ranks
from toolbox.interfaces import Condition, Discriminator, Generator, Objective, Rows, Sample, concatenate
from toolbox.testing.common import close, random_sample, require, rng

N = 6  # images
SIZE = 8  # pixels
CLASSES = 3
_JUDGED = ("labels", "weights", "text", "mask", "codes")  # what discriminators look at


class SmallGenerator(Generator):
    """8-pixel images of 4 latents and a class."""

    def __init__(self) -> None:
        super().__init__()
        self.latent_dim = 4
        self.image_size = SIZE
        self.n_conditions = CLASSES
        self.start = nn.Linear(self.latent_dim + CLASSES, 8 * 4 * 4)
        self.end = nn.Conv2d(8, 3, 3, padding=1)

    def forward(self, latents: Tensor, condition: Condition | None = None) -> Tensor:
        """Images of latents (N, 4) and labels."""
        code = latents.new_zeros(len(latents), CLASSES)
        if condition is not None and condition.labels is not None:
            code = F.one_hot(condition.labels, CLASSES).to(latents)
        hidden = self.start(torch.cat([latents, code], dim=1)).unflatten(1, (8, 4, 4)).relu()
        return self.end(F.interpolate(hidden, scale_factor=2)).tanh()


class SmallDiscriminator(Discriminator):
    """Logits of 8-pixel images, projected on the class."""

    def __init__(self) -> None:
        super().__init__()
        self.n_conditions = CLASSES
        self.convolution = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.linear = nn.Linear(8, 1)
        self.embedding = nn.Embedding(CLASSES, 8)

    def encode(self, images: Tensor) -> Tensor:
        """(N, 8)."""
        return F.softplus(self.convolution(images)).mean(dim=(2, 3))

    def judge(self, features: Tensor, condition: Condition | None = None) -> Tensor:
        """Unconditional logit plus projection."""
        logits: Tensor = self.linear(features).squeeze(1)
        if condition is None or condition.labels is None:
            return logits
        return logits + (self.embedding(condition.labels.clamp(min=0)) * features).sum(dim=1)


def small_networks() -> dict[str, nn.Module]:
    """'generator', 'discriminator' and 'classifier' for 8-pixel images of 3 classes, equal at every call."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        classifier = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Softplus(), nn.Flatten(), nn.Linear(8 * 16, CLASSES)
        )
        generator = SmallGenerator()
        return dict(generator=generator, discriminator=SmallDiscriminator(), classifier=classifier)


class FakeTurn:
    """A :class:`toolbox.interfaces.Turn` without a game, for tests of objectives.

    Fakes of a real batch with captions are asked for these captions; others for random classes.

    Args:
        moves: name of the network that moves; the fake batch carries gradients if it is the generator.
        networks: {name: network}; default :func:`small_networks`.
        real: the real batch; default 6 random 8-pixel images of 3 classes, every third label hidden, with
            views ``extras['weak']`` and ``extras['strong']``.
        seed: of latents, conditions and ``rng``.
        iteration: 0-based.
        partner: the second branch's real batch, for objectives that read ``branches``; None = one branch.
    """

    def __init__(
        self,
        moves: str,
        networks: Mapping[str, nn.Module] | None = None,
        real: Sample | None = None,
        seed: int = 0,
        iteration: int = 0,
        partner: Sample | None = None,
    ) -> None:
        self.player = moves
        self.iteration = iteration
        self.kimg = 0.0
        self.rng = rng(seed)
        self.branches: list[FakeTurn] = [self]
        self.networks = dict(small_networks() if networks is None else networks)
        self._real = _default_real() if real is None else real
        self._seed = seed
        self._kept: dict[Any, Any] = {}
        if partner is not None:
            twin = FakeTurn(moves, self.networks, partner, seed + 1, iteration)
            self.branches = twin.branches = [self, twin]

    @property
    def real(self) -> Sample:
        """The real batch."""
        return self._real

    @property
    def whole(self) -> Sample:
        """The real batch: no step is split."""
        return self.real

    @property
    def rows(self) -> Rows:
        """All rows of this process, of the batch of all processes."""
        n = len(self.real)
        return Rows(ranks.rank() * n, (ranks.rank() + 1) * n, n * ranks.world())

    @property
    def fake(self) -> Sample:
        """A batch of the generator's images, of the size of the real one."""
        return self.once("fake", lambda: self.generate("generator"))

    def moves(self, network: str) -> bool:
        """Whether it is the network that moves."""
        return network == self.player

    def network(self, name: str) -> nn.Module:
        """A network by name."""
        require(
            name in self.networks,
            f"the objective asks for the network {name!r}, the turn has {sorted(self.networks)}: "
            "pass networks=",
        )
        return self.networks[name]

    def score(self, discriminator: str, sample: Sample, condition: Condition | None = None) -> Tensor:
        """Logits (N,)."""
        network: Any = self.network(discriminator)
        return network(sample.images, sample.condition if condition is None else condition)

    def view(self, sample: Sample, field: str) -> Sample:
        """A sample whose images are another field of it."""
        if field == "images":
            return sample
        return self.once(("view", id(sample), field), lambda: sample.replace(images=sample.extras[field]))

    def seen(self, discriminator: str, sample: Sample) -> Any:
        """What enters ``encode``."""
        network: Any = self.network(discriminator)
        return self.once(("seen", discriminator, id(sample)), lambda: network.look(sample.images))

    def encoded(self, discriminator: str, sample: Sample) -> Tensor:
        """Features of a sample."""
        network: Any = self.network(discriminator)
        return network.encode(self.seen(discriminator, sample))

    def score_pair(self, discriminator: str, real: Sample, fake: Sample) -> tuple[Tensor, Tensor]:
        """Logits of both from one pass."""
        known = [name for name in _JUDGED if all(_has(part, name) for part in (real, fake))]
        conditions = [
            Condition(**{name: getattr(part.condition, name) for name in known}) for part in (real, fake)
        ]
        both = Sample(torch.cat([real.images, fake.images]), concatenate(conditions))
        logits = self.score(discriminator, both)
        return logits[: len(real)], logits[len(real) :]

    def fewer_fakes(self, shrink: int) -> Sample:
        """A smaller batch of the generator's images, with gradients if it moves."""
        n = -(-len(self._real) // shrink)  # rounded up
        return self.once(("fewer", shrink), lambda: self._generate("generator", n))

    def generate(self, network: str, same_noise: bool = False) -> Sample:
        """What a generator makes of the turn's latents and condition."""
        return self._generate(network, len(self._real))

    def _generate(self, network: str, n: int) -> Sample:
        generator: Any = self.network(network)
        draw = rng(self._seed + 1)
        latents = generator.sample_latents(n, draw)
        labels = torch.randint(max(generator.n_conditions, 1), (n,), generator=draw)
        asked = self._real.condition[:n]
        if asked.text is None and asked.codes is None:
            asked = Condition(labels=labels)
        elif generator.n_conditions:  # it need not know the labels of the captions
            asked = asked.replace(labels=labels)
        with torch.set_grad_enabled(self.moves(network)):
            return generator.generate(latents, asked, draw)

    def once(self, key: Any, compute: Callable[[], Any]) -> Any:
        """``compute()`` once a turn."""
        if key not in self._kept:
            self._kept[key] = compute()
        return self._kept[key]

    def frozen(self, key: Any, compute: Callable[[], Any]) -> Any:
        """``compute()`` without gradients, once."""
        with torch.no_grad():
            return self.once(("frozen", key), compute)


def _has(sample: Sample, field: str) -> bool:
    return getattr(sample.condition, field) is not None


def _default_real() -> Sample:
    sample = random_sample(N, SIZE, CLASSES)
    labels = sample.condition.labels
    assert labels is not None
    hidden = labels.where(torch.arange(N) % 3 > 0, -1)  # every third
    views = {"weak": sample.images.flip(3), "strong": sample.images.flip(2)}
    return sample.replace(condition=sample.condition.replace(labels=hidden), extras=views)


def check_objective(
    objective: Objective,
    networks: Mapping[str, nn.Module] | None = None,
    real: Sample | None = None,
    partner: Sample | None = None,
) -> None:
    """Check the contract of :class:`toolbox.interfaces.Objective`, for each network that it has a loss of.

    - the loss is a finite scalar, the same for the same turn: a function of the networks, the batch and
      ``turn.rng``;
    - gradients reach the network that moves (or the objective's own parameters), and nobody else;
    - the images are not changed in place;
    - ``formulas`` has a line for each network, ``log`` gives detached scalars;
    - parameters of its own say whom they join (``trains``), and what it keeps is in its state dict.

    Args:
        objective: it is left as it was.
        networks: {name: network} it works on; default :func:`small_networks`. For terms of captions:
            :func:`toolbox.testing.text_networks` with :func:`toolbox.testing.text_sample` as ``real``.
        real: the real batch; default that of :class:`FakeTurn`.
        partner: the second branch's real batch, of the same labels, for one with ``couples_branches``;
            default the first one's, its images mirrored.

    Raises:
        AssertionError: naming what is broken.
    """
    name = type(objective).__name__
    require(isinstance(objective, Objective), f"{name} does not inherit toolbox.interfaces.Objective")
    networks = dict(small_networks() if networks is None else networks)
    real = _default_real() if real is None else real
    if objective.couples_branches and partner is None:
        partner = real.replace(images=real.images.flip(3))
    losses = objective.losses()
    require(losses, f"{name}.losses() is empty: no network has a loss of it")
    own = list(objective.parameters())
    require(
        not own or objective.trains is not None,
        f"{name} has parameters of its own but trains=None: nobody would move them",
    )
    for network in losses:
        require(
            network in networks,
            f"{name} trains {network!r}, the check has {sorted(networks)}: pass networks=",
        )
        require(objective.formulas.get(network), f"{name}.formulas has no line for {network!r}")
        turn = partial(FakeTurn, network, networks, real, partner=partner)
        _check_loss(objective, network, networks, turn, f"{name}, turn of {network!r}")


def _check_loss(
    objective: Objective,
    network: str,
    networks: dict[str, nn.Module],
    make_turn: Callable[..., FakeTurn],
    name: str,
) -> None:
    everyone = {**networks, "the objective": objective}
    flags: dict[nn.Parameter, bool] = {}
    for module in everyone.values():
        flags |= {parameter: parameter.requires_grad for parameter in module.parameters()}
    before = copy.deepcopy(objective)
    moving = set(networks[network].parameters())
    if objective.trains == network:
        moving |= set(objective.parameters())
    for parameter in flags:
        parameter.grad = None
        parameter.requires_grad_(parameter in moving)
    try:
        turn = make_turn()
        images = turn.real.images.clone(), turn.fake.images.detach().clone()
        loss = objective.losses()[network](turn)
        _check_value(loss, name)
        require(
            torch.equal(images[0], turn.real.images) and torch.equal(images[1], turn.fake.images),
            f"{name}: it changes images in place",
        )
        loss.backward()
        _check_reach(everyone, moving, name)
        _check_log(objective, name)
        again = _again(objective, network, make_turn)
        require(
            close(again, loss.detach(), 1e-6),
            f"{name}: two equal turns give {float(loss.detach()):g} and {float(again):g}; every draw must "
            "come from turn.rng",
        )
        _check_state(before, objective, partial(_again, network=network, make_turn=make_turn), name)
    finally:
        for parameter, flag in flags.items():
            parameter.requires_grad_(flag).grad = None


def _check_state(before: Objective, moved: Objective, loss: Callable[..., Tensor], name: str) -> None:
    """One that loads the state of one that has taken turns goes on as that does."""
    restored = copy.deepcopy(before)
    restored.load_state_dict(moved.state_dict(), strict=True)
    require(
        close(loss(restored, iteration=1), loss(copy.deepcopy(moved), iteration=1), 1e-6),
        f"{name}: what it keeps from turn to turn is not in its state_dict; use register_buffer",
    )


def _check_value(loss: Tensor, name: str) -> None:
    found = tuple(loss.shape) if isinstance(loss, Tensor) else type(loss).__name__
    require(found == (), f"{name}: the loss must be a scalar tensor, got {found}")
    require(bool(torch.isfinite(loss)), f"{name}: the loss is {float(loss.detach())}")
    require(loss.requires_grad, f"{name}: the loss has no gradient: nothing that moves is in it")


def _check_reach(everyone: Mapping[str, nn.Module], moving: set[nn.Parameter], name: str) -> None:
    require(
        any(p.grad is not None and bool(p.grad.abs().sum() > 0) for p in moving),
        f"{name}: no gradient reaches the network that moves",
    )
    others = []
    for owner, module in everyone.items():
        reached = {key: p for key, p in module.named_parameters() if p.grad is not None}
        others += [f"{owner}.{key}" for key, p in reached.items() if p not in moving]
    require(not others, f"{name}: gradients reach parameters that do not move: {others[:5]}")


def _check_log(objective: Objective, name: str) -> None:
    for key, value in objective.log().items():
        require(
            isinstance(value, Tensor) and value.ndim == 0 and not value.requires_grad,
            f"{name}: log()[{key!r}] must be a detached scalar tensor, got {value!r}",
        )


def _again(
    objective: Objective, network: str, make_turn: Callable[..., FakeTurn], iteration: int = 0
) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(12345)
        return objective.losses()[network](make_turn(iteration=iteration)).detach()
