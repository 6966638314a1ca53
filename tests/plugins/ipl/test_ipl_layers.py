"""Which layers move: the maps from styles to layers, NADA's named parts, the contract, what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from tests.plugins.ipl.test_ipl_prompts import tiny_clip
from tests.plugins.ipl.tiny_ipl import STYLE
from toolbox import testing
from toolbox.models.style_based import NoisySynthesis
from toolbox.models.stylegan2 import StyleGAN2Generator
from toolbox_ipl.layers import AdaptiveLayers, StyleLayers
from toolbox_ipl.prompts import LatentPrompts
from toolbox_ipl.table.plan import METHODS, TARGETS, cells, options_of


@pytest.fixture
def networks() -> dict[str, nn.Module]:
    torch.manual_seed(0)
    clip = tiny_clip(width=16)
    mapper = LatentPrompts(clip, ["photo", "disney"], latent_dim=6)
    return {"generator": StyleGAN2Generator(**STYLE), "clip": clip, "mapper": mapper}


@pytest.mark.parametrize("index_map", ["exact", "official"])
def test_the_choice_keeps_its_contract(networks: dict[str, nn.Module], index_map: str) -> None:
    choice = AdaptiveLayers(label="disney", layers=2, batch=4, index_map=index_map)
    testing.check_choice(choice, networks)
    testing.check_choice(AdaptiveLayers(batch=2, steps=2), networks)
    testing.check_choice(StyleLayers("shape"), networks)


def test_a_style_stands_for_the_convolutions_that_read_it(networks: dict[str, nn.Module]) -> None:
    generator: Any = networks["generator"]
    exact = AdaptiveLayers(label="x")._candidates(generator)
    assert exact == {
        0: ["synthesis.b4.conv1"],
        1: ["synthesis.b8.conv0"],
        2: ["synthesis.b8.conv1"],
        3: ["synthesis.b16.conv0"],
        4: ["synthesis.b16.conv1"],
    }
    official = AdaptiveLayers(label="x", index_map="official")._candidates(generator)
    assert official == {
        0: ["synthesis.b4.conv1"],
        1: ["synthesis.b4.torgb"],
        2: ["synthesis.b8.conv0"],
        3: ["synthesis.b8.conv1"],
        4: ["synthesis.b16.conv0"],
        5: ["synthesis.b16.conv1"],
    }


def test_a_layer_reads_the_style_that_it_is_said_to_read(networks: dict[str, nn.Module]) -> None:
    """A change of one style reaches the affine layers that name it, and no others."""
    generator: Any = networks["generator"]
    ws = torch.zeros(1, generator.n_styles, 6)
    for layer in generator.style_layers():
        seen: list[float] = []
        module = generator.get_submodule(f"{layer.name}.affine")
        hook = module.register_forward_hook(
            lambda _m, given, _o, seen=seen: seen.append(float(given[0].sum()))
        )
        marked = ws.clone()
        marked[:, layer.style] = 1
        generator.synthesis(marked, [None] * len(generator.synthesis.layers()))
        hook.remove()
        assert seen == [6.0], layer


def test_two_thirds_by_default(networks: dict[str, nn.Module]) -> None:
    generator: Any = networks["generator"]
    assert generator.n_styles == 6 and AdaptiveLayers(label="x")._wanted(generator, 5) == 4


@pytest.mark.parametrize("noise_mode", ["random", "const"])
def test_a_few_at_once_choose_the_same(networks: dict[str, nn.Module], noise_mode: str) -> None:
    generator: Any = networks["generator"]
    generator.noise_mode = noise_mode
    generator.requires_grad_(False)
    rng = torch.Generator().manual_seed(0)
    ws = generator.styles(generator.mapping(torch.randn(5, 4, generator=rng), None)).contiguous()
    game: Any = Networks(networks)
    noise = generator.noise(ws, rng, fresh=True)
    whole = AdaptiveLayers(label="disney")._gradient(game, generator, ws, noise)
    for at_once in (1, 2, 5):
        parts = AdaptiveLayers(label="disney", at_once=at_once)._gradient(game, generator, ws, noise)
        torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-7)


class Networks:
    """What the distance to a label asks of a game."""

    def __init__(self, networks: dict[str, nn.Module]) -> None:
        self.networks = networks

    def network(self, name: str) -> nn.Module:
        return self.networks[name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(label=" "), "is empty"),
        (dict(label="x", layers=9, batch=2), "layers=9 is more than the 5"),
        (dict(label="x", at_once=0), "at_once=0"),
        (dict(label="x", index_map="offical"), "did you mean 'official'"),
    ],
)
def test_what_is_refused(networks: dict[str, nn.Module], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        testing.check_choice(AdaptiveLayers(**arguments), networks)


def test_a_generator_without_styles_is_refused(networks: dict[str, nn.Module]) -> None:
    with pytest.raises(ValueError, match="leave moves= out"):
        testing.check_choice(StyleLayers(), {**networks, "generator": nn.Linear(2, 2)})


def test_every_row_of_the_table_is_a_game() -> None:
    """Each method's overrides load, and the stages' prompts have the cell's labels."""
    from toolbox.config import load_config
    from toolbox.training.explain.iteration import explain

    for cell in cells(["neon"], [*METHODS, "ipl@10"], [1]):
        name, options = options_of(cell, iterations=2, prompting=2, n_fake=4)
        config = load_config(name, options=options)
        assert explain(config) and config.seed == 1 and config.evaluation.real.style == "neon"
        mapper = config.model.networks.get("mapper")
        labels = mapper.names if mapper else config.model.objectives.direction.labels
        assert list(labels) == ["drawing", "neon sign"], cell
    assert {words for words, _ in TARGETS.values()} >= {"watercolour", "pencil sketch"}


def test_a_network_that_names_no_layers_is_refused_in_a_line() -> None:
    """Another's synthesis: what it lacks, and what to do without it."""

    class Theirs(NoisySynthesis):
        def walk(self, ws: Any, noise: Any = None) -> Any:
            return iter(())

    with pytest.raises(ValueError, match=r"^Theirs does not say .*: give it style_layers\(\), or leave out"):
        Theirs().style_layers()
    with pytest.raises(TypeError, match="abstract"):
        NoisySynthesis()  # type: ignore[abstract]
