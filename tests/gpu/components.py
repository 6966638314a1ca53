"""``checks``: every registered component that computes with tensors, on a device against the CPU.

They come from the quick versions of all shipped configs, and from EXAMPLES where no config names them. What a
config leaves to its data ('data:n_classes') is filled with small numbers.
"""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tests.gpu.cases import (
    FORWARD,
    GRADIENT,
    KEPT,
    Case,
    Found,
    LeftOutError,
    gradients_off,
    multiplying,
    off,
)
from tests.gpu.same_draws import drawing_alike
from toolbox.config import load_config, resolve_config
from toolbox.interfaces import Condition, Sample, TextCodes, concatenate
from toolbox.plugins import host
from toolbox.registry import accepted, build, check
from toolbox.testing import FakeTurn, random_sample

KINDS = (
    "generator",
    "discriminator",
    "network",
    "segmenter",
    "extractor",
    "augment",
    "objective",
    "clusterer",
)
N, CLASSES, CLUSTERS = 4, 3, 2
ROWS = CLASSES * CLUSTERS  # of conditions
WORDS, TOKENS, CODE = 6, 400, 128  # of captions: the longest, the vocabulary, the width of the embedded CLIP
MOST_NORMS = 30  # each BatchNorm of few images amplifies rounding; networks of more are compared in eval mode

PARTS = ["ground", "thing"]
_FILLED = {
    "data:classes": ["apple", "pear", "plum"],
    "data:n_classes": CLASSES,
    "data:n_conditions": CLASSES,
    "data:part_names": PARTS,
    "data:n_parts": len(PARTS),
    "data:n_tokens": TOKENS,
    "conditioner:clusters": CLUSTERS,
}
_PROMPTS = dict(type="ClusterPrompts", class_names=_FILLED["data:classes"], clusters=CLUSTERS, context=2)
EXAMPLES: list[dict[str, Any]] = [
    dict(type="AjbrockGenerator", channels=8, n_conditions=CLASSES),
    dict(type="AjbrockSharedGenerator", channels=8, n_conditions=CLASSES),
    dict(type="AjbrockDiscriminator", channels=8, n_conditions=CLASSES),
    dict(type="BigGANGenerator", channels=32, n_conditions=CLASSES),
    dict(type="BigGANDiscriminator", channels=32, n_conditions=CLASSES),
    dict(type="PromptDiscriminator", uses=dict(clip="clip"), prompts=_PROMPTS),
    dict(type="WideResNet", depth=10, width=2, n_classes=CLASSES),
    dict(type="DeepLabV3", part_names=PARTS, image_size=None),
    dict(type="EmbeddedSegmenter"),
    dict(type="ResNetFeatures", arch="resnet18", random=True, size=32),
    dict(type="PortraitJudge"),
    dict(type="TinyConvFeatures"),
    dict(type="PooledPixels", size=2),
    dict(type="FIDInception"),
    dict(type="AdaptiveAugment", pipeline="bgc", p=0.7),
    dict(type="WassersteinAdversarial"),
    dict(type="PathLength"),
    dict(type="AuxiliaryClassifier"),
    dict(type="CrossEntropy"),
    dict(type="LabelCrossEntropy"),
    dict(type="LabelContrast", encoder="clip"),
    dict(type="LabelContrast", encoder="clip", label_loss="unicl", temperature=0.1),
    dict(type="KLiSH", clusters=8, filter_sigma=None),
]
TINY = ("AjbrockDiscriminator", "TinyConvFeatures", "AdaptiveAugment", "PathLength", "KASP", "KLiSH")
#: Registered, and not tried: why.
NOT_TRIED = {
    "ADE20KDeepLabV3": "DeepLabV3, tried, and a scale",
    "ChosenParts": "some channels of a segmenter, tried",
    "Clip": "its weights are no part of the repository; EmbeddedClip has the same code",
    "ClipFeatures": "its weights are no part of the repository; EmbeddedClipFeatures has the same code",
    "DamsmImageEncoder": "torchvision's Inception, and two layers as SmallImageEncoder has them",
    "GlobalClip": "a CLIP, tried, and a cosine",
    "IRSE50": "a file's weights; convolutions and batch norms",
    "LPIPS": "files' weights; convolutions",
    "ManifoldClip": "a CLIP, tried, and a cosine",
    "PatchClip": "a CLIP, tried, and a cosine",
    "DiffusionClip": "DirectionalClip, a logarithm and a mean",
    "EfficientNetLite0Features": "its weights are no part of the repository",
    "IdentityFeatures": "it computes nothing",
    "LSE": "1x1 convolutions of maps, and interpolation",
    "LabelClassifiers": "two linear layers",
    "FeatureMatching": "two networks of masks, and L1 distances",
    "MultiscaleHinge": "two networks of masks, and a hinge",
    "MultiscalePatchDiscriminator": "it needs masks; convolutions and instance norm",
    "PerceptualMatching": "a list of maps, and L1 distances",
    "PortraitMaps": "convolutions of PortraitJudge, tried",
    "SpadeEncoder": "convolutions, instance norm and two linear layers",
    "SpadeGenerator": "it needs masks; convolutions, BatchNorm and interpolation",
    "StyleKL": "it needs an encoder's mu; a sum of exponentials",
    "VGG19Maps": "a file's weights; convolutions",
    "NSE1": "1x1 convolutions of maps, and interpolation",
    "NSE2": "convolutions of maps, and interpolation",
    "TapCrossEntropy": "a generator and a segmenter, tried, and a cross-entropy",
    "TapHinge": "a generator and a segmenter, tried, and a squared hinge",
    "TorchvisionInception": "its weights are no part of the repository; its network is torchvision's",
}


def cases(device: str, tiny: bool = False) -> Iterator[Case]:
    """One case a component; a tiny run has a few that take no time."""
    for label, config in sorted(components(tiny).items()):
        if tiny and config["type"] not in TINY:
            continue
        kind = host().catalog.find(config["type"]).kind
        yield f"{kind} {label}", partial(_TRIED[kind], config, device)


# -- what there is -----------------------------------------------------------------------------------------


def components(tiny: bool = False) -> dict[str, dict[str, Any]]:
    """{label: config} of what can be built here, each once."""
    found: dict[str, dict[str, Any]] = {}
    configs = EXAMPLES if tiny else [*_of_configs(), *EXAMPLES]
    for config in configs:
        if config["type"] not in NOT_TRIED:
            found.setdefault(json.dumps(config, sort_keys=True, default=str), config)
    return dict(zip(_labels(found), found.values(), strict=True))


def untried() -> set[str]:
    """Registered components of these kinds that are neither tried nor in NOT_TRIED."""
    tried = {config["type"] for config in components().values()}
    entries = [entry for kind in KINDS for entry in host().catalog.entries(kind)]
    registered = {entry.name for entry in entries if entry.address.startswith("toolbox")}  # ours
    return registered - tried - set(NOT_TRIED)


def _labels(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The type, numbered where several configs name it."""
    names: list[str] = []
    counts: dict[str, int] = {}
    for config in found.values():
        name = config["type"]
        counts[name] = counts.get(name, 0) + 1
        names.append(f"{name} {counts[name]}")
    return names


def _of_configs() -> Iterator[dict[str, Any]]:
    for path in sorted(set(host().configs().values())):
        command = resolve_config(path, quick=True).config().get("command", "train")
        if command == "train":
            yield from _walk(load_config(path, quick=True, tell=lambda line: None).to_dict())
        else:
            yield from _walk(resolve_config(path, quick=True).config().to_dict())


def _walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every config of a component of these kinds in a config, however deep."""
    if isinstance(value, Mapping):
        name = value.get("type")
        if isinstance(name, str) and name in host().catalog and host().catalog.find(name).kind in KINDS:
            yield _ready(value)
        for inner in value.values():
            yield from _walk(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _walk(inner)


def _ready(config: Mapping[str, Any]) -> dict[str, Any]:
    """Without what a game adds to a component's own arguments, and with its data's numbers filled in."""
    known = accepted(check({"type": config["type"]})) or {}
    kept = {key: value for key, value in config.items() if key in known or key in ("type", "uses")}
    filled: dict[str, Any] = _fill(kept)
    return filled


def _fill(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _fill(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_fill(inner) for inner in value]
    return _FILLED.get(value, value) if isinstance(value, str) else value


# -- networks ------------------------------------------------------------------------------------------------


def _network(config: dict[str, Any], device: str) -> Found:
    kind = host().catalog.find(config["type"]).kind
    module = _built(config)
    given, ask = _ASKED[kind](module)
    learns = kind != "extractor" and given.is_floating_point()
    return compared(module, (given.requires_grad_(learns), ask), device)


def _built(config: dict[str, Any]) -> Any:
    """Equal at every call."""
    arguments = dict(config)
    clip = "EmbeddedViT" if config["type"].startswith("GALIP") else "EmbeddedClip"
    arguments.update({key: build(dict(type=clip)) for key in arguments.pop("uses", {})})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        if config["type"] == "FIDInception":
            return _random_inception(config)
        return build(arguments)


def _random_inception(config: dict[str, Any]) -> nn.Module:
    """Of the published architecture; its published weights are no part of the repository."""
    from toolbox.metrics.extractors.inception_network import InceptionNetwork

    with torch.device("meta"):
        state = InceptionNetwork().state_dict()
    filled = {name: _random_weight(value) for name, value in state.items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pth"
        torch.save(filled, path)
        found: nn.Module = build({**config, "weights": str(path), "sha256": None})
        return found


def _random_weight(like: Tensor) -> Tensor:
    """Of a size that keeps activations near 1; those of BatchNorms are ones."""
    if like.ndim < 2:
        return torch.ones(like.shape, dtype=like.dtype)
    return torch.randn(like.shape, generator=_rng(4)) * (2 / like[0].numel()) ** 0.5


Ask = Callable[[Any, Tensor], Tensor]  # of a module and its input


def _ask_generator(module: Any) -> tuple[Tensor, Ask]:
    asked = texts(module) or conditions(module.n_conditions)

    def ask(one: Any, latents: Tensor) -> Tensor:
        images: Tensor = one(latents, None if asked is None else asked.to(latents.device))
        return images

    return module.sample_latents(N, _rng()), ask


def _ask_discriminator(module: Any) -> tuple[Tensor, Ask]:
    prompts = getattr(module, "prompts", None)
    rows = prompts.n_prompts if prompts is not None else getattr(module, "n_conditions", 0)
    asked = texts(module) or conditions(rows)

    def ask(one: Any, images: Tensor) -> Tensor:
        logits: Tensor = one(images, None if asked is None else asked.to(images.device))
        return logits

    return images_for(module), ask


def _ask_images(module: Any) -> tuple[Tensor, Ask]:
    return images_for(module), lambda one, images: one(images)


def _ask_network(module: Any) -> tuple[Tensor, Ask]:
    if hasattr(module, "encode_text") and hasattr(module, "code_dim"):
        lengths = torch.arange(N) % WORDS + 1

        def ask(one: Any, ids: Tensor) -> Tensor:
            codes = one.encode_text(ids, lengths.to(ids.device))
            return torch.cat([codes.sentence, codes.words.flatten(1)], dim=1)

        return torch.randint(1, TOKENS, (N, WORDS), generator=_rng(5)), ask
    if hasattr(module, "encode_images") and hasattr(module, "code_dim"):
        return images_for(module), lambda one, images: torch.cat(
            [code.flatten(1) for code in one.encode_images(images)], dim=1
        )
    return _ask_images(module)


def _ask_augment(module: Any) -> tuple[Tensor, Ask]:
    return images_for(module), lambda one, images: one(images, _rng())


_ASKED: dict[str, Callable[[Any], tuple[Tensor, Ask]]] = {
    "generator": _ask_generator,
    "discriminator": _ask_discriminator,
    "network": _ask_network,
    "segmenter": _ask_images,
    "extractor": _ask_images,
    "augment": _ask_augment,
}


def images_for(module: Any) -> Tensor:
    """Of the size that it was made for."""
    size = getattr(module, "image_size", None)
    images: Tensor = random_sample(N, size if isinstance(size, int) else 32).images
    return images


def texts(module: Any) -> Condition | None:
    """Codes of N captions of the width that it was made for; None for a network that reads none."""
    width = getattr(module, "code_dim", None)
    return None if width is None else Condition(codes=codes_of(N, width))


def codes_of(n: int, width: int) -> TextCodes:
    """Of n captions, of sentences and words, the last words of most missing."""
    rng = _rng(6)
    words = torch.randn(n, width, WORDS, generator=rng)
    return TextCodes(torch.randn(n, width, generator=rng), words, torch.arange(n) % WORDS + 1)


def conditions(n: int) -> Condition | None:
    """Of N images, by label and as weights; None for a network without."""
    if not n:
        return None
    labels = torch.arange(N) % n
    return Condition(labels=labels, weights=nn.functional.one_hot(labels, n).float())


def compared(module: nn.Module, question: tuple[Tensor, Ask], device: str) -> Found:
    """Values, gradients and buffers of a module and its copy elsewhere; in training mode with BatchNorm."""
    given, ask = question
    norms = sum(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in module.modules())
    moves = any(parameter.requires_grad for parameter in module.parameters())
    module.train(0 < norms <= MOST_NORMS and moves)
    for part in module.modules():
        if isinstance(part, nn.modules.dropout._DropoutNd):
            part.eval()  # its draws are from the device's own global generator
    other = _moved(module, device)
    with multiplying(tf32=False), drawing_alike():
        there = _answer(module, ask, given)
        here = _answer(other, ask, given.detach().to(device).requires_grad_(given.requires_grad))
    value = off(here[0], there[0])
    gradient, name = gradients_off(here[1], there[1])
    buffer = _buffers_off(other, module)
    numbers = dict(forward=value, gradient=gradient, buffers=buffer, worst=name)
    wrong = value > FORWARD or gradient > GRADIENT or buffer > KEPT
    says = f"forward {value:.1e}, gradient {gradient:.1e}" + (f" of {name}" if wrong and name else "")
    return Found(says, f"{says}, buffers {buffer:.1e}" if wrong else "", numbers)


def _buffers_off(here: nn.Module, there: nn.Module) -> float:
    """Of the worst one; a mask's infinities are numbers like others."""
    kept = {name: value.nan_to_num() for name, value in there.named_buffers() if value.is_floating_point()}
    moved = dict(here.named_buffers())
    return max((off(moved[name].nan_to_num(), value) for name, value in kept.items()), default=0.0)


def _moved(module: nn.Module, device: str) -> nn.Module:
    """A copy on the device, with what it borrows."""
    other = copy.deepcopy(module).to(device)
    for value in vars(other).values():
        for part in value if isinstance(value, tuple) else ():
            if isinstance(part, nn.Module):
                part.to(device)
    return other


def _answer(module: nn.Module, ask: Ask, given: Tensor) -> tuple[Tensor, dict[str, Tensor | None]]:
    given = given.detach().clone().requires_grad_(given.requires_grad)
    answer = ask(module, given)
    if not answer.requires_grad:
        return answer, {}
    weights = torch.randn(answer.shape, generator=_rng(1)).to(answer)
    (answer * weights).sum().backward()
    gradients = {name: parameter.grad for name, parameter in module.named_parameters()}
    return answer, {**gradients, "the input": given.grad}


def _rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# -- objectives ----------------------------------------------------------------------------------------------

_NETWORKS: dict[str, dict[str, Any]] = {
    "generator": dict(
        type="StyleGAN2Generator",
        image_size=32,
        latent_dim=8,
        style_dim=8,
        channel_base=256,
        n_conditions=ROWS,
    ),
    "discriminator": dict(
        type="PGGANDiscriminator", image_size=32, channel_base=256, channel_max=32, n_conditions=ROWS
    ),
    "classifier": dict(type="SmallConvNet", n_classes=CLASSES),
    "segmenter": dict(type="UNet", part_names=PARTS, channels=2, image_size=None),
    "clip": dict(type="EmbeddedClip", frozen=False),
    "prompt_discriminator": dict(type="PromptDiscriminator", uses=dict(clip="clip"), prompts=_PROMPTS),
}


_AUTOENCODER = dict(
    type="DiffAE",
    image_size=32,
    channels=32,
    channel_mult=[1, 2],
    encoder_channel_mult=[1, 2],
    blocks=1,
    embed_channels=32,
    style_channels=16,
)
_AT32 = dict(channels=8, image_size=32, code_dim=CODE)
#: For terms that read captions, beside those above and in their place.
_TEXT_NETWORKS: dict[str, dict[str, Any]] = {
    "generator": dict(
        type="AttnGANGenerator", stages=2, residual_blocks=1, noise_dim=8, condition_dim=8, **_AT32
    ),
    "discriminator": dict(type="SSAGANDiscriminator", **_AT32),
    "discriminator16": dict(type="AttnGANDiscriminator", **{**_AT32, "image_size": 16}),
    "discriminator32": dict(type="AttnGANDiscriminator", **_AT32),
    "text_encoder": dict(type="DamsmTextEncoder", n_tokens=TOKENS, embedding_dim=16, code_dim=CODE),
    "image_encoder": dict(type="SmallImageEncoder", code_dim=CODE, image_size=32),
}
READ_CAPTIONS = (
    "ClipSimilarity",
    "ConditioningKL",
    "DamsmMatching",
    "DamsmPretraining",
    "LabelContrast",
    "MatchingAwareAdversarial",
    "MatchingAwarePenalty",
    "MatchingHinge",
)


_THROUGH_CLIP = dict(
    type="GALIPDiscriminator", channels=8, taps=(1, 3, 5), clip_double_rescale=False, uses=dict(clip="clip")
)


def _networks_for(objective: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Configs of networks that it can be tried on, by name."""
    if objective["type"] == "DenoisingLoss":
        return {**_NETWORKS, "generator": _AUTOENCODER}
    if objective["type"] not in READ_CAPTIONS:
        return _NETWORKS
    looks = objective["type"] == "ClipSimilarity" or objective.get("encoder") == "discriminator"
    return {**_NETWORKS, **_TEXT_NETWORKS, **(dict(discriminator=_THROUGH_CLIP) if looks else {})}


@cache
def _made(config: str) -> nn.Module:
    """A network to try objectives on, of a config in JSON; they are given copies."""
    found: nn.Module = _built(json.loads(config))
    for part in found.modules():
        if isinstance(part, nn.modules.dropout._DropoutNd):
            part.p = 0.0  # its draws are from the device's own global generator
    return found


class DeviceTurn(FakeTurn):
    """A turn whose networks and images are on a device; its conditions have weights, too."""

    def __init__(self, moves: str, device: str, configs: Mapping[str, Any] = _NETWORKS) -> None:
        super().__init__(moves, {}, real_images().to(device))
        self._device = device
        self._configs = configs

    def network(self, name: str) -> nn.Module:
        """One of the configs', made when it is first asked for."""
        if name not in self.networks:
            made = _made(json.dumps(self._configs[name]))
            self.networks[name] = _moved(made, self._device).requires_grad_(self.moves(name))
        return self.networks[name]

    def _generate(self, network: str, n: int) -> Sample:
        generator: Any = self.network(network)
        latents = generator.sample_latents(n, _rng(1)).to(self._device)
        asked = real_images().condition[:n].to(self._device)
        with torch.set_grad_enabled(self.moves(network)):
            sample: Sample = generator.generate(latents, asked, _rng(2))
            return sample

    def score_pair(self, discriminator: str, real: Sample, fake: Sample) -> tuple[Tensor, Tensor]:
        """With the weights of the conditions."""
        known = [
            Condition(labels=part.condition.labels, weights=part.condition.weights) for part in (real, fake)
        ]
        both = Sample(torch.cat([real.images, fake.images]), concatenate(known))
        logits = self.score(discriminator, both)
        return logits[: len(real)], logits[len(real) :]


def real_images() -> Sample:
    """Real images with all that a loss term may ask for."""
    sample = random_sample(8, 32, CLASSES)
    labels = sample.condition.labels
    assert labels is not None
    rng = _rng(3)
    weights = torch.rand(8, ROWS, generator=rng)
    condition = Condition(
        labels=labels,
        weights=weights / weights.sum(dim=1, keepdim=True),
        mask=torch.randint(len(PARTS), (8, 32, 32), generator=rng),
        text=torch.randint(1, TOKENS, (8, WORDS), generator=rng),
        codes=codes_of(8, CODE),
    )
    views = {"weak": sample.images.flip(3), "strong": sample.images.flip(2)}
    return sample.replace(condition=condition, extras=views)


def _objective(config: dict[str, Any], device: str) -> Found:
    """Every loss of it, and the gradients of whoever moves."""
    worst = {"loss": 0.0, "gradient": 0.0}
    names: list[str] = []
    for name in build(_own(config)).losses():
        if name not in _networks_for(config):
            raise LeftOutError(f"no network {name!r} to try it on")
        there, here = (_loss(config, name, place) for place in ("cpu", device))
        gradient, parameter = gradients_off(here[1], there[1])
        worst["loss"] = max(worst["loss"], float(abs(here[0] - there[0]) / max(1.0, abs(there[0]))))
        worst["gradient"] = max(worst["gradient"], gradient)
        names.append(f"{name} ({parameter})" if gradient > GRADIENT else name)
    says = f"loss {worst['loss']:.1e}, gradient {worst['gradient']:.1e}, of {', '.join(names)}"
    wrong = worst["loss"] > FORWARD or worst["gradient"] > GRADIENT
    return Found(says, says if wrong else "", worst)


def _own(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != "weight"}


def _loss(config: dict[str, Any], name: str, device: str) -> tuple[float, dict[str, Tensor | None]]:
    objective = build(_own(config)).to(device)
    turn = DeviceTurn(name, device, _networks_for(config))
    if objective.couples_branches:
        other = DeviceTurn(name, device, _networks_for(config))
        turn.branches, other.networks = [turn, other], turn.networks
    with multiplying(tf32=False), drawing_alike():
        loss = objective.losses()[name](turn)
        loss.backward()
    gradients = {key: value.grad for key, value in turn.network(name).named_parameters()}
    return float(loss.detach()), {key: None if g is None else g.cpu() for key, g in gradients.items()}


# -- clusterers ----------------------------------------------------------------------------------------------


def _clusterer(config: dict[str, Any], device: str) -> Found:
    """Those that take a device: labels, and the merges of a tree, must be equal."""
    from toolbox_klish.toy import curved_clusters

    if "device" not in (accepted(check({"type": config["type"]})) or {}):
        raise LeftOutError("it computes on the CPU wherever it runs")
    features, _ = curved_clusters(rows=4000, width=24, classes=5)
    config = {"clusters": 8, **config}  # where a config leaves the number to who asks
    there, here = (build({**config, "device": place}).fit(features) for place in ("cpu", device))
    if not hasattr(there, "merges_"):
        same = float((there.labels_ == here.labels_).mean())
        return Found(
            f"{same:.4f} of the labels equal", "" if same == 1 else f"only {same:.4f} of the labels equal"
        )
    merges = f"{len(there.merges_)} merges"
    equal = np.array_equal(there.merges_, here.merges_)
    return Found(f"{merges}, all equal", "" if equal else f"{merges} differ from the CPU's")


_TRIED: dict[str, Callable[[dict[str, Any], str], Found]] = {
    **dict.fromkeys(_ASKED, _network),
    "objective": _objective,
    "clusterer": _clusterer,
}
