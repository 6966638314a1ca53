"""Weight layouts in circulation, and how they become ours: other names, kernels turned round.

NVIDIA's PyTorch StyleGAN2 and ADA (ours are the same); genforce's and KLiSH's PGGAN, StyleGAN and StyleGAN2
(KLiSH's are an older spelling of genforce's); rosinality's StyleGAN2; the text-to-image networks of
:mod:`toolbox.models.text_layouts`; Diffusion Autoencoders. Strict: a tensor that no rule knows is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from toolbox.catalog import near_miss
from toolbox.models import diffae_layout, text_layouts
from toolbox.models.declared import check_tensors, outline
from toolbox.models.layout import Change, Layout, Rule, State
from toolbox.models.stylegan_sizes import arguments
from toolbox.models.upfirdn import setup_filter
from toolbox.weights.errors import WeightsError, listed, misfits, short

_MOST_PRODUCTS = 2**36  # for a mean w: of 10,000 draws through a mapping of six million numbers


def recognise(state: Mapping[str, Tensor]) -> str:
    """Name of the layout of a network's tensors: one of LAYOUTS.

    Raises:
        WeightsError: when it is none of them.
    """
    for name, layout in LAYOUTS.items():
        if all(any(re.fullmatch(mark, key) for key in state) for mark in layout.marks):
            return name
    raise WeightsError(
        f"the tensors ({', '.join(list(state)[:4])}, ...) are in none of the known layouts: "
        f"{', '.join(LAYOUTS)}; of a file with several networks, take one"
    )


def translate(state: Mapping[str, Tensor], layout: str = "auto") -> State:
    """The tensors of one network by our names.

    Args:
        state: {name: tensor}.
        layout: one of LAYOUTS; 'auto' = :func:`recognise`.

    Raises:
        WeightsError: for an unknown layout, or tensors that it does not have, listing them.
    """
    check_tensors(state)
    odd = next((name for name in state if re.search(r"\d{5,}", name)), None)
    if odd is not None:
        raise WeightsError(f"no layer of a network is called {short(odd)}")
    layout = recognise(state) if layout == "auto" else layout
    if layout not in LAYOUTS:
        raise WeightsError(
            f"layout={layout!r} is not known; choose from {['auto', *LAYOUTS]}{near_miss(layout, LAYOUTS)}"
        )
    plan = LAYOUTS[layout]
    try:
        spelled = plan.before(dict(state))
        rules = plan.rules(spelled)
    except (ValueError, KeyError, RuntimeError, IndexError) as error:
        raise WeightsError(f"the tensors are not in the layout {layout!r}: {error}") from error
    result, faults = _apply(rules, spelled)
    if faults:
        raise WeightsError(f"layout {layout!r}: {faults}")
    try:
        return plan.after(result)
    except (ValueError, KeyError, RuntimeError, IndexError) as error:
        raise WeightsError(f"the tensors are not in the layout {layout!r}: {error}") from error


def _apply(rules: list[Rule], state: State) -> tuple[State, str]:
    """Each tensor by the first rule that matches; in words, what none knows and what is not as expected."""
    result: State = {}
    unknown, wrong = [], []
    for name, tensor in state.items():
        match, rule = _first(rules, name)
        if rule is None or match is None:
            unknown.append(name)
            continue
        try:
            value = rule.change(match, tensor)
        except (ValueError, IndexError, RuntimeError) as error:
            wrong.append(f"{name}: {error}")
            continue
        if rule.target is not None:
            result[rule.target(match)] = value.contiguous()
    groups = (("not of this layout", unknown), ("not as expected", wrong))
    return result, "; ".join(listed(title, items) for title, items in groups if items)


def network_config(
    source: Mapping[str, Tensor],
    layout: str,
    translated: Mapping[str, Tensor],
    given: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """``dict(type=..., ...)`` that builds the network of translated tensors.

    What tensors do not show has its default.

    Args:
        source: the tensors before.
        layout: their layout.
        translated: of :func:`translate`.
        given: arguments known from elsewhere; what tensors show counts before them.

    Raises:
        WeightsError: when the network that they describe has other tensors.
    """
    plan = LAYOUTS[layout]
    family = plan.family
    try:
        shown = plan.arguments(translated) if plan.arguments else arguments(family, translated)
        config = dict(given or {}) | dict(type=family, **shown)
        if layout == "klish-pggan-discriminator":
            config["fused_scale"] = any(re.fullmatch(r"layer\d+\.weight", name) for name in source)
        elif family.startswith("StyleGAN2") and not layout.startswith("nvidia"):
            config["conv_clamp"] = None  # those were trained without
        faults = misfits(translated, outline(config, len(translated)))
    except (KeyError, ValueError, IndexError, TypeError, ArithmeticError) as error:
        raise WeightsError(f"layout {layout!r}: no {family} has these tensors ({error})") from error
    if faults:
        raise WeightsError(f"layout {layout!r}: not the tensors of a {family}: {faults}")
    return config


def _first(rules: list[Rule], name: str) -> tuple[re.Match[str] | None, Rule | None]:
    """The first rule for a name, and how it matches."""
    for rule in rules:
        match = re.fullmatch(rule.pattern, name)
        if match:
            return match, rule
    return None, None


def _named(template: str) -> Callable[[re.Match[str]], str]:
    """'fc{0}.{1}' with the groups of the match."""
    return lambda match: template.format(*match.groups())


def _changed(change: Change) -> Callable[[re.Match[str], Tensor], Tensor]:
    return lambda match, tensor: change(tensor)


def _kept(*names: str) -> list[Rule]:
    return [Rule(f"({name})", _named("{0}")) for name in names]


# Filters and other constants: they must be those that our networks have.


def _binomial(match: re.Match[str], kernel: Tensor) -> Tensor:
    weights = [1, 3, 3, 1] if kernel.shape[-1] == 4 else [1, 2, 1]
    expected = setup_filter(weights)
    # normalised: some hold the gain of a doubling, 4
    own = kernel.float() / kernel.float().sum(dim=(-2, -1), keepdim=True)
    if not torch.allclose(own, expected.expand_as(own), atol=1e-5):
        raise ValueError(f"another filter than {weights}")
    return kernel


def _fully_grown(match: re.Match[str], lod: Tensor) -> Tensor:
    if float(lod) != 0:
        raise ValueError(
            f"a network that has not grown fully (lod={float(lod):g}); set the lod of ours to it, and lod to "
            "0 in the file"
        )
    return lod


_KERNELS = Rule(r"(?:.*\.)?(?:filter|upsample|blur|preact)\.kernel", None, _binomial)
_LOD = Rule(r"(?:synthesis\.)?lod", None, _fully_grown)
_DERIVED = Rule(r"truncation\.truncation", None)


# genforce and KLiSH

_SPELLING = [
    (r"\.(?:conv|fc)\.weight$", ".weight"),
    (r"\bwscale\.bias$", "bias"),
    (r"\bepilogue\.", ""),
    (r"\bstyle_mod\.dense\.", "style."),
]


def _plain(name: str) -> str:
    """KLiSH's name, spelled as genforce does."""
    for pattern, new in _SPELLING:
        name = re.sub(pattern, new, name)
    return name


def _klish(flip: bool) -> Callable[[State], State]:
    """KLiSH's PGGAN or StyleGAN in genforce's spelling.

    Kernels outside of a ``conv`` are fused ones, in the order HWIO. A fused doubling holds the mirror image
    of the kernel of 'nearest x2, then convolution' (``flip``).
    """

    def spelled(state: State) -> State:
        result = {}
        for name, tensor in state.items():
            if re.fullmatch(r"(?:synthesis\.)?layer\d+\.weight", name) and tensor.ndim == 4:
                tensor = tensor.permute(3, 2, 0, 1)  # HWIO -> OIHW
                if flip:
                    tensor = tensor.flip(2, 3)
            result[_plain(name)] = tensor
        return result

    return spelled


def _klish_stylegan2(state: State) -> State:
    """KLiSH's StyleGAN2 generator in genforce's spelling: all kernels are in the order HWIO."""
    result = {}
    for name, tensor in state.items():
        if tensor.ndim == 4 and name.endswith(".weight"):
            tensor = tensor.permute(3, 2, 0, 1)  # HWIO -> OIHW
        result[_plain(name)] = tensor
    return result


def _plain_names(state: State) -> State:
    """KLiSH's names in genforce's spelling, the tensors as they are."""
    return {_plain(name): tensor for name, tensor in state.items()}


def _genforce_stylegan(state: State) -> State:
    """Doublings to 128x128 and more are fused there: mirrored kernels."""
    result = {}
    for name, tensor in state.items():
        layer = re.fullmatch(r"synthesis\.layer(\d+)\.weight", name)
        if layer and int(layer[1]) % 2 == 0 and 4 << (int(layer[1]) // 2) >= 128:
            tensor = tensor.flip(2, 3)
        result[name] = tensor
    return result


def _plain_rules(state: State) -> list[Rule]:
    """PGGAN's networks and StyleGAN's discriminator: names are as ours."""
    return [_LOD, _KERNELS, *_kept(r"(?:layer|input|output)\d+\.(?:weight|bias)")]


def _stylegan_rules(state: State) -> list[Rule]:
    layer = r"synthesis\.layer(\d+)\."
    noise = _named("synthesis.layer{0}.noise_const")
    same = _kept(
        r"mapping\.dense\d+\.(?:weight|bias)",
        r"mapping\.label_weight",
        r"synthesis\.output\d+\.(?:weight|bias)",
        r"synthesis\.layer\d+\.(?:bias|style\.weight|style\.bias)",
    )
    return [
        _LOD,
        _KERNELS,
        _DERIVED,
        Rule(r"truncation\.w_avg", _named("mapping.w_avg")),
        *same,
        Rule(layer + "const", _named("synthesis.layer{0}.const"), _changed(lambda t: t[0])),
        Rule(layer + "weight", _named("synthesis.layer{0}.conv.weight")),
        Rule(layer + r"apply_noise\.weight", _named("synthesis.layer{0}.noise_strength")),
        Rule(layer + r"apply_noise\.noise", noise, _changed(lambda t: t[0, 0])),
    ]


def _stylegan2_rules(state: State) -> list[Rule]:
    layer = r"synthesis\.layer(\d+)\."
    output = r"synthesis\.output(\d+)\."
    rules = [
        _KERNELS,
        _DERIVED,
        Rule(r"truncation\.w_avg", _named("mapping.w_avg")),
        Rule(r"mapping\.dense(\d+)\.(weight|bias)", _named("mapping.fc{0}.{1}")),
        Rule(r"synthesis\.early_layer\.const", _named("synthesis.b4.const"), _changed(lambda t: t[0])),
        Rule(layer + "weight", _of_layer("weight"), lambda m, t: t.flip(2, 3) if int(m[1]) % 2 else t),
        Rule(layer + "noise", _of_layer("noise_const"), _changed(lambda t: t[0, 0])),
        Rule(output + "(weight|bias)", lambda m: f"synthesis.b{4 << int(m[1])}.torgb.{m[2]}"),
    ]
    rules += [Rule(layer + name, _of_layer(name)) for name in ("bias", "noise_strength")]
    for prefix, target in ((layer, _of_layer), (output, _of_output)):
        rules += [
            Rule(prefix + r"style\.weight", target("affine.weight")),
            Rule(prefix + r"style\.bias", target("affine.bias"), _changed(lambda t: t + 1)),  # theirs add it
        ]
    return rules


def _of_layer(name: str) -> Callable[[re.Match[str]], str]:
    return lambda match: f"synthesis.{_convolution(int(match[1]))}.{name}"


def _of_output(name: str) -> Callable[[re.Match[str]], str]:
    return lambda match: f"synthesis.b{4 << int(match[1])}.torgb.{name}"


def _convolution(i: int) -> str:
    """StyleGAN2's i-th convolution: one at 4x4, then two a resolution."""
    return f"b{4 << ((i + 1) // 2)}.conv{0 if i % 2 else 1}"


def _klish_stylegan2_discriminator(state: State) -> list[Rule]:
    blocks = _count(state, r"skip_layer(\d+)\.weight")
    ends = {2 * blocks: "b4.conv", 2 * blocks + 1: "b4.fc", 2 * blocks + 2: "b4.out"}

    def layer(match: re.Match[str]) -> str:
        i = int(match[1])
        module = ends[i] if i in ends else f"b{4 << (blocks - i // 2)}.conv{i % 2}"
        return f"{module}.{match[2]}"

    return [
        _KERNELS,
        Rule(r"layer(\d+)\.(weight|bias)", layer),
        Rule(r"skip_layer(\d+)\.weight", lambda m: f"b{4 << (blocks - int(m[1]))}.skip.weight"),
        Rule(r"input0\.(weight|bias)", _named(f"b{4 << blocks}.fromrgb.{{0}}")),
    ]


# rosinality


def _rosinality_rules(state: State) -> list[Rule]:
    block = {
        "conv1": lambda i: "b4.conv1",
        "convs": lambda i: _convolution(i + 1),
        "to_rgb1": lambda i: "b4.torgb",
        "to_rgbs": lambda i: f"b{8 << i}.torgb",
    }
    layer = r"(conv1|convs|to_rgb1|to_rgbs)(?:\.(\d+))?\."

    def of(name: str) -> Callable[[re.Match[str]], str]:
        return lambda match: f"synthesis.{block[match[1]](int(match[2] or 0))}.{name}"

    def noise(match: re.Match[str]) -> str:
        return f"synthesis.{_convolution(int(match[1]))}.noise_const"

    return [
        Rule(r"(?:.*\.)?(?:blur|upsample)\.kernel", None, _binomial),
        Rule("latent_avg", _named("mapping.w_avg")),
        Rule(r"style\.(\d+)\.(weight|bias)", lambda m: f"mapping.fc{int(m[1]) - 1}.{m[2]}"),
        Rule(r"input\.input", _named("synthesis.b4.const"), _changed(lambda t: t[0])),
        Rule(layer + r"conv\.weight", of("weight"), _changed(lambda t: t[0])),
        Rule(layer + r"conv\.modulation\.weight", of("affine.weight")),
        Rule(layer + r"conv\.modulation\.bias", of("affine.bias")),
        Rule(layer + r"noise\.weight", of("noise_strength"), _changed(lambda t: t[0])),
        Rule(layer + r"activate\.bias", of("bias")),
        Rule(layer + "bias", of("bias"), _changed(lambda t: t.flatten())),
        Rule(r"noises\.noise_(\d+)", noise, _changed(lambda t: t[0, 0])),
    ]


def _rosinality_discriminator(state: State) -> list[Rule]:
    blocks = _count(state, r"convs\.(\d+)\.skip\.1\.weight")

    def of(name: str) -> Callable[[re.Match[str]], str]:
        return lambda match: f"b{8 << (blocks - int(match[1]))}.{name}"

    return [
        Rule(r"convs\.\d+\.(?:conv2|skip)\.0\.kernel", None, _binomial),
        Rule(r"convs\.0\.0\.weight", _named(f"b{4 << blocks}.fromrgb.weight")),
        Rule(r"convs\.0\.1\.bias", _named(f"b{4 << blocks}.fromrgb.bias")),
        Rule(r"convs\.(\d+)\.conv1\.0\.weight", of("conv0.weight")),
        Rule(r"convs\.(\d+)\.conv1\.1\.bias", of("conv0.bias")),
        Rule(r"convs\.(\d+)\.conv2\.1\.weight", of("conv1.weight")),
        Rule(r"convs\.(\d+)\.conv2\.2\.bias", of("conv1.bias")),
        Rule(r"convs\.(\d+)\.skip\.1\.weight", of("skip.weight")),
        Rule(r"final_conv\.0\.weight", _named("b4.conv.weight")),
        Rule(r"final_conv\.1\.bias", _named("b4.conv.bias")),
        Rule(r"final_linear\.0\.(weight|bias)", _named("b4.fc.{0}")),
        Rule(r"final_linear\.1\.(weight|bias)", _named("b4.out.{0}")),
    ]


def _count(state: State, pattern: str) -> int:
    return sum(bool(re.fullmatch(pattern, name)) for name in state)


# What StyleGAN2 in our layout has and others do not store


def _with_filters(state: State) -> State:
    """StyleGAN2's resampling filter for each block and each 3x3 or skip convolution, as in its state dict."""
    result = dict(state)
    for name in state:
        owner = re.fullmatch(r"((?:synthesis\.)?b\d+)\.(conv\d?|skip|fromrgb)\.weight", name)
        if owner:
            result[f"{owner[1]}.{owner[2]}.resample_filter"] = setup_filter([1, 3, 3, 1])
            if owner[2] != "conv":
                result[f"{owner[1]}.resample_filter"] = setup_filter([1, 3, 3, 1])
    return result


def _grown(name: str) -> Callable[[State], State]:
    """Networks in these layouts have grown fully."""
    return lambda state: state | {name: torch.zeros((), dtype=torch.float64)}


def _with_mean(state: State, draws: int = 10_000) -> State:
    """With filters, and the mean w of seeded draws where the file has none."""
    from toolbox.models.stylegan2 import Mapping as MappingNetwork

    prefix = "mapping."
    weights = {name.removeprefix(prefix): state[name] for name in state if name.startswith(prefix)}
    if "w_avg" in weights:
        return _with_filters(state | {"mapping.w_avg": weights["w_avg"].flatten()})
    depth = _count(weights, r"fc\d+\.weight")
    latent_dim = weights["fc0.weight"].shape[1]
    style_dim = len(weights[f"fc{depth - 1}.bias"])
    hidden = len(weights["fc0.bias"])
    with torch.device("meta"):
        network = MappingNetwork(latent_dim, 0, style_dim, depth, layer_features=hidden, average_beta=None)
    faults = misfits(weights, network.state_dict())
    if faults:
        raise WeightsError(f"not the tensors of a mapping network: {faults}")
    network.load_state_dict(weights, assign=True)
    draws = min(draws, _MOST_PRODUCTS // sum(value.numel() for value in weights.values()) + 1)
    latents = torch.randn(draws, latent_dim, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        w = network(latents)  # (draws, style_dim)
    return _with_filters(state | {"mapping.w_avg": w.mean(dim=0)})


def _as_it_is(state: State) -> list[Rule]:
    return _kept(r".*")


LAYOUTS = {
    "nvidia-stylegan2": Layout(
        family="StyleGAN2Generator",
        marks=(r"synthesis\.b4\.const",),
        rules=_as_it_is,
    ),
    "nvidia-stylegan2-discriminator": Layout(
        family="StyleGAN2Discriminator",
        marks=(r"b4\.out\.weight",),
        rules=_as_it_is,
    ),
    "rosinality-stylegan2": Layout(
        family="StyleGAN2Generator",
        marks=(r"conv1\.conv\.modulation\.weight",),
        rules=_rosinality_rules,
        after=_with_mean,
    ),
    "rosinality-stylegan2-discriminator": Layout(
        family="StyleGAN2Discriminator",
        marks=(r"final_linear\.1\.weight",),
        rules=_rosinality_discriminator,
        after=_with_filters,
    ),
    "klish-stylegan2": Layout(
        family="StyleGAN2Generator",
        marks=(r"synthesis\.early_layer\.const", r"mapping\.dense0\.fc\.weight"),
        rules=_stylegan2_rules,
        before=_klish_stylegan2,
        after=_with_filters,
    ),
    "genforce-stylegan2": Layout(
        family="StyleGAN2Generator",
        marks=(r"synthesis\.early_layer\.const",),
        rules=_stylegan2_rules,
        after=_with_filters,
    ),
    "klish-stylegan2-discriminator": Layout(
        family="StyleGAN2Discriminator",
        marks=(r"skip_layer0\.conv\.weight",),
        rules=_klish_stylegan2_discriminator,
        before=_plain_names,
        after=_with_filters,
    ),
    "klish-stylegan": Layout(
        family="StyleGANGenerator",
        marks=(r"synthesis\.layer0\.epilogue\.bias",),
        rules=_stylegan_rules,
        before=_klish(flip=True),
        after=_grown("synthesis.lod"),
    ),
    "genforce-stylegan": Layout(
        family="StyleGANGenerator",
        marks=(r"synthesis\.layer0\.apply_noise\.weight",),
        rules=_stylegan_rules,
        before=_genforce_stylegan,
        after=_grown("synthesis.lod"),
    ),
    "klish-stylegan-discriminator": Layout(
        family="StyleGANDiscriminator",
        marks=(r"input0\.conv\.weight", r"layer1\.preact\.kernel"),
        rules=_plain_rules,
        before=_klish(flip=False),
        after=_grown("lod"),
    ),
    "klish-pggan-discriminator": Layout(
        family="PGGANDiscriminator",
        marks=(r"input0\.conv\.weight", r"layer0\.wscale\.bias"),
        rules=_plain_rules,
        before=_klish(flip=False),
        after=_grown("lod"),
    ),
    "klish-pggan": Layout(
        family="PGGANGenerator",
        marks=(r"output0\.conv\.weight", r"layer0\.wscale\.bias"),
        rules=_plain_rules,
        before=_klish(flip=True),
        after=_grown("lod"),
    ),
    "genforce-pggan": Layout(
        family="PGGANGenerator",
        marks=(r"output0\.weight", r"layer0\.weight"),
        rules=_plain_rules,
        after=_grown("lod"),
    ),
    **text_layouts.LAYOUTS,
    "diffae": diffae_layout.LAYOUT,
}
