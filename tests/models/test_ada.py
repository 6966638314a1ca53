"""ADA: equal to the reference operation by operation, how often operations act, and the controller of p."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.models.stylegan_filled import DATA, normal
from toolbox import testing
from toolbox.interfaces import RowGenerator, Rows
from toolbox.models import ada_transforms
from toolbox.models.ada import OPERATIONS, PIPELINES, AdaptiveAugment, Draws, band_gains, colour_change


def arrays() -> dict[str, Tensor]:
    import numpy as np

    with np.load(DATA / "ada.npz") as file:
        return {name: torch.from_numpy(file[name]) for name in file}


CASES = [name for name in arrays() if ".p" in name]


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


class TestReference:
    @pytest.mark.parametrize("case", CASES)
    def test_cases(self, case: str) -> None:
        group, percentile = case.split(".p")
        images = normal("input.gray", 1, 1, 24, 24) if "gray" in case else normal("input.img", 1, 3, 24, 24)
        augment = AdaptiveAugment(group.replace("_only", "").replace("_gray", ""), p=1)
        torch.testing.assert_close(
            augment(images, percentile=float(percentile)), arrays()[case], rtol=0, atol=1e-4
        )

    def test_filters(self) -> None:
        torch.testing.assert_close(ada_transforms.lowpass_filter(), arrays()["Hz_geom"])
        torch.testing.assert_close(ada_transforms.filter_bank(), arrays()["Hz_fbank"])

    def test_pipelines(self) -> None:
        assert PIPELINES["bg"] == ("xflip", "rotate90", "xint", "scale", "rotate", "aniso", "xfrac")
        assert (
            len(PIPELINES["bgc"]) == 12
            and PIPELINES["bgcfnc"][-3:] == ("imgfilter", "noise", "cutout") == OPERATIONS[-3:]
        )
        assert AdaptiveAugment(["xflip", "color"]).operations == AdaptiveAugment("xflip, color").operations


class TestContract:
    @pytest.mark.parametrize("pipeline", ["bgcfnc", "blit", "cutout,noise", "hue"])
    def test_augment(self, pipeline: str) -> None:
        testing.check_augment(AdaptiveAugment(pipeline, p=0.8), image_size=24)

    def test_joined_real_and_fake_images_of_a_part_are_seen_as_in_the_whole(self) -> None:
        augment, images = AdaptiveAugment("bgc", p=0.9), normal("both", 8, 3, 16, 16)
        whole = augment(images, RowGenerator.of(0, Rows.all(4)))
        part = augment(torch.cat([images[1:3], images[5:7]]), RowGenerator.of(0, Rows(1, 3, 4)))
        torch.testing.assert_close(part, torch.cat([whole[1:3], whole[5:7]]), atol=1e-4, rtol=0)

    def test_twice_differentiable(self) -> None:
        augment = AdaptiveAugment("bg,imgfilter,color", p=1).double()
        images = normal("x", 2, 3, 24, 24).double()[:, :, :24]
        moving = images.clone().requires_grad_()
        values = (
            augment(moving, rng()).square().sum()
        )  # quadratic in the images: grad . x = 2 (linear part), |grad| moves
        (gradient,) = torch.autograd.grad(values, moving, create_graph=True)
        gradient.square().sum().backward()
        eps = 1e-5
        direction = normal("direction", 2, 3, 24, 24).double()
        above, below = (self._penalty(augment, images + sign * eps * direction) for sign in (1, -1))
        assert float((moving.grad * direction).sum()) == pytest.approx(
            float((above - below) / (2 * eps)), rel=1e-5
        )

    @staticmethod
    def _penalty(augment: AdaptiveAugment, images: Tensor) -> Tensor:
        moving = images.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(augment(moving, rng()).square().sum(), moving)
        return gradient.square().sum()

    def test_sampling_has_the_gradients_of_torch(self) -> None:
        grid = torch.rand(2, 3, 3, 2, generator=rng(), dtype=torch.double) * 2 - 1
        x = torch.randn(2, 1, 4, 4, generator=rng(), dtype=torch.double, requires_grad=True)
        assert torch.autograd.gradcheck(lambda v: ada_transforms.sample_at(v, grid), (x,))
        assert torch.autograd.gradgradcheck(lambda v: ada_transforms.sample_at(v, grid).pow(2), (x,))


class TestOperations:
    def test_p_0_changes_nothing(self) -> None:
        images = normal("x", 4, 3, 24, 24)
        for pipeline in ("color", "filter", "noise", "cutout"):
            torch.testing.assert_close(AdaptiveAugment(pipeline)(images, rng()), images)
        blurred = AdaptiveAugment("bg")(images, rng())  # up and down again, through a low-pass filter
        assert (blurred - images).abs().mean() < 0.35 * images.abs().mean()

    def test_each_operation_acts_on_a_share_p_of_the_images(self) -> None:
        images = torch.rand(400, 3, 24, 24, generator=rng())
        for name, share in (("brightness", 0.3), ("saturation", 0.3), ("noise", 0.3), ("lumaflip", 0.15)):
            seen = AdaptiveAugment(name, p=0.3)(images, rng(1))
            changed = (seen - images).flatten(1).abs().amax(dim=1) > 1e-5
            assert float(changed.float().mean()) == pytest.approx(share, abs=0.07), name

    def test_a_flip_is_a_flip_up_to_the_low_pass(self) -> None:
        smooth = torch.linspace(-1, 1, 24).expand(1, 3, 24, 24)
        flipped = AdaptiveAugment("xflip")(smooth, percentile=0.8)
        torch.testing.assert_close(flipped[..., 6:-6], smooth.flip(3)[..., 6:-6], atol=0.01, rtol=0)

    def test_colour_changes_keep_grey_grey(self) -> None:
        draws = Draws(8, 1.0, rng())
        grey = torch.tensor([0.3, 0.3, 0.3, 1.0])
        for names in (["hue"], ["saturation"]):
            torch.testing.assert_close((colour_change(draws, names) @ grey)[:, :3], grey[:3].expand(8, 3))
        change = colour_change(draws, ["hue"])[:, :3, :3]
        torch.testing.assert_close(change @ change.transpose(1, 2), torch.eye(3).expand(8, 3, 3))

    def test_band_gains_are_neutral_where_nothing_acts(self) -> None:
        torch.testing.assert_close(band_gains(Draws(3, 0.0, rng())), torch.ones(3, 4))

    def test_cutout_takes_a_quarter_at_most(self) -> None:
        seen = AdaptiveAugment("cutout", p=1)(torch.ones(16, 3, 24, 24), rng())
        assert float(seen.min()) == 0 and float(seen.flatten(1).mean(dim=1).min()) >= 0.75 - 1e-6


class TestController:
    def move(self, augment: AdaptiveAugment, logits: float, iterations: int) -> float:
        for iteration in range(iterations):
            augment.observe(torch.full((8,), logits))
            augment.after_iteration(iteration, images=8)
        return float(augment.p)

    def test_p_follows_how_sure_the_discriminator_is(self) -> None:
        augment = AdaptiveAugment(speed_kimg=0.1, every=4)
        assert self.move(augment, 2.0, 3) == 0  # not yet
        assert self.move(augment, 2.0, 4) == pytest.approx(8 * 4 / 100)
        assert self.move(augment, 2.0, 8) == pytest.approx(0.96)
        assert self.move(augment, 2.0, 8) == 1  # the limit
        assert self.move(augment, -2.0, 4) == pytest.approx(0.68)
        assert self.move(augment, -2.0, 40) == 0
        assert augment.probability() == 0

    def test_the_target_is_of_the_mean_sign(self) -> None:
        augment = AdaptiveAugment(speed_kimg=1, every=1, target=0.6, p=0.5)
        augment.observe(torch.tensor([1.0, 9, 9, -1]))  # r = 0.5
        augment.after_iteration(0, images=4)
        assert float(augment.p) == pytest.approx(0.496)
        augment.observe(torch.tensor([1.0, 9, 9, 9, 1]))
        augment.observe(torch.tensor([-1.0]))  # together r = 0.67
        augment.after_iteration(1, images=4)
        assert float(augment.p) == pytest.approx(0.5)

    def test_nothing_seen_moves_nothing_and_a_fixed_p_stays(self) -> None:
        augment = AdaptiveAugment(every=1, p=0.5)
        augment.after_iteration(0, images=8)
        assert float(augment.p) == 0.5
        assert self.move(AdaptiveAugment(target=None, p=0.2), 2.0, 8) == pytest.approx(0.2)

    def test_the_state_is_in_the_checkpoint(self) -> None:
        one, other = AdaptiveAugment(speed_kimg=0.1), AdaptiveAugment(speed_kimg=0.1)
        self.move(one, 2.0, 6)
        assert set(one.state_dict()) == {"p", "signs"}
        other.probability()
        other.load_state_dict(one.state_dict())
        assert other.probability() == pytest.approx(0.32)  # not the number read before
        for iteration in (6, 7):
            for augment in (one, other):
                augment.observe(torch.ones(8))
                augment.after_iteration(iteration, images=8)
        assert float(one.p) == float(other.p) == pytest.approx(0.64)
        assert set(one.log()) == {"p"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: AdaptiveAugment("bgx"),
            r"pipeline='bgx': 'bgx' is not known; choose from \['bg', .*did you mean 'bg'",
        ),
        (lambda: AdaptiveAugment("color,rotat"), r"'rotat' is not known.*did you mean 'rotate'"),
        (lambda: AdaptiveAugment(p=1.5), r"p=1.5 must be a number in \[0, 1\]"),
        (lambda: AdaptiveAugment(speed_kimg=0), "speed_kimg=0 must be a number above 0"),
        (lambda: AdaptiveAugment(every=0), "every=0 must be a whole number of 1 or more"),
        (
            lambda: AdaptiveAugment("filter", p=1)(torch.zeros(1, 3, 16, 16)),
            r"16x16 pixels are too small for 'imgfilter'",
        ),
        (lambda: AdaptiveAugment("color", p=1)(torch.zeros(1, 4, 16, 16)), r"images have 4 channels"),
    ],
)
def test_errors(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
