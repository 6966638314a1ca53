"""Fine-tuning: a network starts from a released file, and chosen layers do not move."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from toolbox.models.biggan import BigGANGenerator
from toolbox.training.checkpoints import CheckpointError
from toolbox.training.game.networks import build_networks

SMALL = dict(
    type="BigGANGenerator", channels=4, n_conditions=3, image_size=16, latent_dim=78, attention=False
)


@pytest.fixture
def released(tmp_path: Path) -> tuple[Path, BigGANGenerator]:
    """A generator's weights as safetensors."""
    torch.manual_seed(7)
    generator = BigGANGenerator(**{key: value for key, value in SMALL.items() if key != "type"})
    path = tmp_path / "release.safetensors"
    save_file({key: value.contiguous() for key, value in generator.state_dict().items()}, path)
    return path, generator


def test_weights_come_from_the_file_and_chosen_layers_stay(released: tuple[Path, BigGANGenerator]) -> None:
    """Every tensor is the file's; parameters under the named prefixes are not trainable, all others are."""
    path, original = released
    networks, _ = build_networks(
        {"generator": {**SMALL, "weights": str(path), "freeze_layers": ["linear0", "shared"]}},
        {"generator": ["generator"]},
        seed=0,
    )
    for name, value in networks["generator"].state_dict().items():
        assert torch.equal(value, original.state_dict()[name]), name
    for name, parameter in networks["generator"].named_parameters():
        assert parameter.requires_grad != name.startswith(("linear0", "shared")), name


def test_a_file_of_another_size_is_refused(released: tuple[Path, BigGANGenerator]) -> None:
    """The error lists the shapes; nothing is half-loaded."""
    with pytest.raises(
        Exception, match=r"other shapes .*shared\.weight: \(3, 128\) in the file, \(5, 128\) in the model"
    ) as error:
        build_networks(
            {"generator": {**SMALL, "n_conditions": 5, "weights": str(released[0])}},
            {"generator": ["generator"]},
            0,
        )
    assert isinstance(error.value, CheckpointError)


def test_a_prefix_that_freezes_nothing_is_an_error(released: tuple[Path, BigGANGenerator]) -> None:
    """A typing error must not train what was to stand still."""
    with pytest.raises(Exception, match="freeze_layers names 'linaer0', no parameter starts with it"):
        build_networks(
            {"generator": {**SMALL, "weights": str(released[0]), "freeze_layers": ["linaer0"]}},
            {"generator": ["generator"]},
            0,
        )
