"""BigGAN: equal to the reference networks, linear in soft rows, and its errors."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.models import name_seeded
from toolbox.interfaces import Condition
from toolbox.models.biggan import BigGANDiscriminator, BigGANGenerator

DATA = Path(__file__).parent.parent / "data" / "biggan"
SIZES = {"tiny_w16": 16, "official_w96": 96}


def manifest(size: str, network: str) -> dict[str, list[int]]:
    return json.loads((DATA / f"studiogan_{size}_c10_{network}.json").read_text())


def golden(size: str) -> dict[str, torch.Tensor]:
    with np.load(DATA / f"studiogan_{size}_c10_seed0.npz") as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


def close(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """1e-4 relative to the largest value."""
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))


@pytest.fixture(scope="module", params=SIZES)
def size(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def generator(size: str) -> BigGANGenerator:
    network = BigGANGenerator(SIZES[size])
    network.load_state_dict(name_seeded.state(manifest(size, "G")))
    return network.eval()


def small(**changes: object) -> BigGANGenerator:
    torch.manual_seed(0)
    return BigGANGenerator(
        **{
            **dict(channels=4, image_size=16, latent_dim=6, embedding_dim=5, n_conditions=3, attention=False),
            **changes,
        }
    ).eval()


def small_discriminator(**changes: object) -> BigGANDiscriminator:
    torch.manual_seed(0)
    return BigGANDiscriminator(
        **{**dict(channels=4, image_size=16, n_conditions=3, attention=False), **changes}
    ).eval()


class TestReference:
    def test_generator_names_and_shapes(self, generator: BigGANGenerator, size: str) -> None:
        assert name_seeded.shapes(generator) == manifest(size, "G")

    @torch.no_grad()
    def test_generator_images(self, generator: BigGANGenerator, size: str) -> None:
        arrays = golden(size)
        close(generator(arrays["z"], Condition(labels=arrays["y"])), arrays["img"])
        close(generator.forward_embedded(arrays["z"], arrays["cond_mix"]), arrays["img_mix"])

    @torch.no_grad()
    def test_generator_on_soft_rows(self, generator: BigGANGenerator, size: str) -> None:
        arrays = golden(size)
        n, k = arrays["u"].shape
        weights = torch.zeros(n, 10)
        weights.scatter_(1, (arrays["y"][:, None] + torch.arange(k)) % 10, arrays["u"])
        close(generator(arrays["z"], Condition(weights=weights)), arrays["img_mix"])

    @torch.no_grad()
    @pytest.mark.parametrize(("inplace", "suffix"), [(True, "_inplace"), (False, "")])
    def test_discriminator(self, size: str, inplace: bool, suffix: str) -> None:
        arrays = golden(size)
        network = BigGANDiscriminator(SIZES[size], inplace_skip=inplace).eval()
        assert name_seeded.shapes(network) == manifest(size, "D")
        network.load_state_dict(name_seeded.state(manifest(size, "D")))
        h = network.encode(arrays["x"])
        close(h, arrays["d_h" + suffix])
        close(network.judge(h, Condition(labels=arrays["y"])), arrays["d_score" + suffix])

    def test_published_parameter_counts(self) -> None:
        assert sum(p.numel() for p in BigGANGenerator().parameters()) == 9_416_196
        assert sum(p.numel() for p in BigGANDiscriminator().parameters()) == 2_415_170


class TestCondition:
    @torch.no_grad()
    def test_one_hot_weights_equal_labels(self) -> None:
        network, z, labels = small(), torch.randn(4, 6), torch.tensor([0, 2, 1, 2])
        weights = torch.eye(3)[labels]
        torch.testing.assert_close(
            network(z, Condition(weights=weights)), network(z, Condition(labels=labels))
        )

    @torch.no_grad()
    def test_permuting_rows_and_weights_changes_nothing(self) -> None:
        network, z, weights = small(), torch.randn(4, 6), torch.rand(4, 3).softmax(1)
        expected, order = network(z, Condition(weights=weights)), torch.tensor([2, 0, 1])
        network.shared.weight.copy_(network.shared.weight[order].clone())
        torch.testing.assert_close(network(z, Condition(weights=weights[:, order])), expected)

    def test_embedding_is_linear_in_the_weights(self) -> None:
        network, a, b = small(), torch.rand(4, 3), torch.rand(4, 3)
        both = network.embed(Condition(weights=0.3 * a + 0.7 * b))
        torch.testing.assert_close(
            both, 0.3 * network.embed(Condition(weights=a)) + 0.7 * network.embed(Condition(weights=b))
        )

    def test_gradients_through_soft_weights(self) -> None:
        network = small(channels=2).double()
        z = torch.randn(2, 6, dtype=torch.double)
        weights = torch.rand(2, 3, dtype=torch.double, requires_grad=True)
        assert torch.autograd.gradcheck(
            lambda w: network(z, Condition(weights=w)).mean((2, 3)), (weights,), atol=1e-4
        )

    def test_only_chosen_rows_get_gradients(self) -> None:
        network = small()
        network(torch.randn(2, 6), Condition(weights=torch.tensor([[0.5, 0.0, 0.5]] * 2))).pow(
            2
        ).sum().backward()
        moved = network.shared.weight.grad.abs().sum(1) > 0
        assert moved.tolist() == [True, False, True]

    def test_residual_class_part_is_shared_by_the_clusters_of_a_class(self) -> None:
        network = small(groups=[0, 0, 1], residual_class=True)
        rows = network.embed(Condition(labels=torch.arange(3)))
        torch.testing.assert_close(rows - network.shared.weight, network.shared_class.weight[[0, 0, 1]])
        assert "groups" not in network.state_dict()

    @torch.no_grad()
    def test_unconditional(self) -> None:
        assert small(n_conditions=0)(torch.randn(2, 6)).shape == (2, 3, 16, 16)
        images = torch.randn(2, 3, 16, 16)
        assert small_discriminator(n_conditions=0)(images, Condition(labels=torch.tensor([0, 1]))).shape == (
            2,
        )

    @torch.no_grad()
    def test_hidden_labels_get_the_unconditional_score(self) -> None:
        network, images = small_discriminator(), torch.randn(3, 3, 16, 16)
        h = network.encode(images)
        mixed = network.judge(h, Condition(labels=torch.tensor([0, -1, 2])))
        full = network.judge(h, Condition(labels=torch.tensor([0, 1, 2])))
        assert torch.equal(mixed[[0, 2]], full[[0, 2]])
        assert torch.equal(mixed[1], network.judge(h)[1])

    @torch.no_grad()
    def test_discriminator_judges_soft_labels_affinely(self) -> None:
        network, h = small_discriminator(), torch.rand(2, 8)
        soft = network.judge(h, Condition(weights=torch.tensor([[0.5, 0.5, 0.0]] * 2)))
        scores = [network.judge(h, Condition(labels=torch.full((2,), label))) for label in (0, 1)]
        torch.testing.assert_close(soft, (scores[0] + scores[1]) / 2)


class TestUse:
    @torch.no_grad()
    @pytest.mark.parametrize(("image_size", "latent_dim"), [(16, 6), (32, 8), (64, 10)])
    def test_sizes_and_features(self, image_size: int, latent_dim: int) -> None:
        network = small(image_size=image_size, latent_dim=latent_dim, attention=True)
        z, condition = network.sample_latents(2), Condition(labels=torch.tensor([0, 1]))
        images = network(z, condition)
        assert images.shape == (2, 3, image_size, image_size) and images.abs().max() <= 1
        features = network.features(z, condition, network.feature_layers)
        assert list(features) == list(network.feature_layers)
        assert all(f"{x.shape[2]}x{x.shape[3]}" == name for name, x in features.items())
        last = features[network.feature_layers[-1]]
        torch.testing.assert_close(torch.tanh(network.conv2d5(torch.relu(network.bn4(last)))), images)
        scores = small_discriminator(image_size=image_size, channels=8, attention=True)(images, condition)
        assert scores.shape == (2,)

    def test_a_network_that_has_trained_can_be_copied(self) -> None:
        network = small().train()
        network(torch.randn(2, 6), Condition(labels=torch.tensor([0, 1]))).sum().backward()
        twin = copy.deepcopy(network).eval()
        z, condition = torch.randn(2, 6), Condition(labels=torch.tensor([0, 1]))
        assert torch.equal(twin(z, condition), network.eval()(z, condition))

    def test_two_backward_passes_after_two_forwards(self) -> None:
        """Real and fake go through the discriminator before one backward: power iterations must not spoil the
        graph.
        """
        network, images = small_discriminator().train(), torch.randn(2, 3, 16, 16)
        (network(images).sum() - network(images.flip(0)).sum()).backward()
        assert torch.isfinite(network.linear1.weight_orig.grad).all()

    @torch.no_grad()
    def test_a_fresh_network_is_normalised_in_eval_mode(self) -> None:
        layer = small().conv2d5
        layer(torch.randn(1, 16, 4, 4))
        assert torch.linalg.svdvals(layer.weight.flatten(1))[0] == pytest.approx(1, abs=1e-3)

    def test_initialisation(self) -> None:
        weight = small().linear0.weight_orig.detach()
        torch.testing.assert_close(weight.t() @ weight, torch.eye(weight.shape[1]), atol=1e-5, rtol=0)
        assert 0.015 < small(init="normal").conv2d5.weight_orig.std() < 0.025


class TestErrors:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (dict(latent_dim=80), r"latent_dim=80 cannot be cut into 3 equal chunks .* take 78 or 81"),
            (dict(image_size=48), r"image_size=48 has no BigGAN plan; choose from \[16, 32, 64\]"),
            (dict(init="ortogonal"), r"init='ortogonal' is not known.*did you mean 'orthogonal'"),
            (dict(residual_class=True), r"residual_class=True needs groups"),
            (dict(groups=[0, 1]), r"groups has 2 entries, n_conditions is 3"),
        ],
    )
    def test_constructor(self, arguments: dict[str, object], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            small(**arguments)

    @pytest.mark.parametrize(
        ("condition", "message"),
        [
            (None, r"BigGANGenerator has 3 conditions and got none"),
            (Condition(weights=torch.ones(2, 5)), r"condition.weights has shape \(2, 5\), expected \(N, 3\)"),
            (Condition(labels=torch.tensor([0, 3])), r"run from 0 to 3, allowed is 0..2"),
            (Condition(labels=torch.tensor([-1, 0])), r"hidden labels \(-1\) were replaced"),
        ],
    )
    def test_generator_condition(self, condition: Condition | None, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            small()(torch.randn(2, 6), condition)

    def test_shapes(self) -> None:
        with pytest.raises(ValueError, match=r"latents have shape \(2, 7\), expected \(N, 6\)"):
            small()(torch.randn(2, 7), Condition(labels=torch.tensor([0, 1])))
        with pytest.raises(
            ValueError, match=r"images have shape \(2, 3, 32, 32\), expected \(N, 3, 16, 16\)"
        ):
            small_discriminator()(torch.randn(2, 3, 32, 32))
        with pytest.raises(ValueError, match=r"'8x9' is not a feature layer.*did you mean '8x8'"):
            small().features(torch.randn(1, 6), Condition(labels=torch.tensor([0])), ["8x9"])

    def test_discriminator_without_usable_condition(self) -> None:
        with pytest.raises(ValueError, match=r"judges under 3 classes"):
            small_discriminator().judge(torch.rand(2, 8), Condition())
        with pytest.raises(ValueError, match=r"allowed is -1..2"):
            small_discriminator().judge(torch.rand(2, 8), Condition(labels=torch.tensor([0, 5])))
