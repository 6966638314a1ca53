"""Masks as conditions: drawn from the rng, shown by fakes, kept by checkpoints; flips that swap sides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from toolbox import testing
from toolbox.data.drawn import PARTS, DrawnPortraits
from toolbox.data.stream import Stream
from toolbox.data.transforms import HorizontalFlip, WeakAugment
from toolbox.interfaces import Condition, Request, Sample
from toolbox.metrics.mask_agreement import MaskAgreement
from toolbox.models.segmenter import EmbeddedSegmenter
from toolbox.training.game.conditioners import NoConditions
from toolbox.training.game.masks import STYLE, MaskConditions
from toolbox.visual.masks import part_colours, picture_of_mask


def stream(**arguments: Any) -> Stream:
    return Stream(DrawnPortraits(image_size=16, images=9), masks=True, **arguments)


def prepared(**arguments: Any) -> MaskConditions:
    conditioner = MaskConditions(PARTS, bank=4, **arguments)
    conditioner.prepare(stream(), None)
    return conditioner


def test_it_keeps_the_contract() -> None:
    testing.check_conditioner(MaskConditions(PARTS, bank=4), stream())


def test_the_bank_is_spread_over_the_training_set() -> None:
    source = DrawnPortraits(image_size=16, images=9)
    conditioner = prepared()
    chosen = [0, 2, 5, 8]
    assert torch.equal(conditioner.masks, torch.from_numpy(np.stack([source.mask(i) for i in chosen])))
    drawn = conditioner.sample(50, torch.Generator().manual_seed(0)).mask
    assert drawn is not None and drawn.dtype == torch.int64
    assert {tuple(mask.flatten().tolist()) for mask in drawn} == {
        tuple(source.mask(i).flatten().tolist()) for i in chosen
    }


def test_fakes_have_the_real_masks_and_their_style() -> None:
    mask = torch.zeros(2, 16, 16, dtype=torch.int64)
    real = Sample(torch.zeros(2, 3, 16, 16), Condition(labels=torch.zeros(2).long(), mask=mask))
    shown = prepared().of_real(real, torch.Generator())
    assert shown is not None and shown.mask is mask and shown.extra[STYLE] is real.images
    assert shown.labels is None
    assert prepared(own_masks=False).of_real(real, torch.Generator()) is None
    with pytest.raises(ValueError, match="the batch has no masks"):
        prepared().of_real(Sample(real.images), torch.Generator())


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (torch.zeros(8, 16), "the mask is 16x8 pixels; this run's masks are 16x16"),
        (torch.full((16, 16), 11), r"the mask has part 11; this run's parts are 0 to 10: background, "),
        (torch.full((16, 16), -1), "the mask has part -1"),
    ],
)
def test_other_masks_are_refused(mask: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        prepared().fulfil(Request(mask=mask), 1, torch.Generator())


def test_who_knows_no_masks_says_so_in_a_line() -> None:
    message = r"^NoConditions cannot be asked for mask; it can be asked for: nothing in particular$"
    with pytest.raises(ValueError, match=message):
        NoConditions().fulfil(Request(mask=torch.zeros(4, 4)), 1, torch.Generator())


def test_what_it_needs_is_said() -> None:
    with pytest.raises(ValueError, match="name at least two parts"):
        MaskConditions([])
    with pytest.raises(ValueError, match="no masks are known: prepare"):
        MaskConditions(PARTS).sample(1, torch.Generator())
    with pytest.raises(ValueError, match="MaskConditions needs masks: give the training data"):
        MaskConditions(PARTS).prepare(Stream(DrawnPortraits(image_size=16, images=2)), None)
    with pytest.raises(ValueError, match=r"part_names are a, b; Drawn portraits .* has the parts background"):
        MaskConditions(["a", "b"]).prepare(stream(), None)


def test_a_mirrored_mask_exchanges_its_sides() -> None:
    image = np.arange(12, dtype=np.uint8).reshape(1, 4, 3)
    views = {"images": image.copy(), "mask": np.array([[3, 3, 4, 0]], dtype=np.uint8)}
    HorizontalFlip(p=1.0, swap=[[3, 4]]).apply(views, np.random.default_rng(0))
    assert views["mask"].tolist() == [[0, 3, 4, 4]]
    assert np.array_equal(views["images"], image[:, ::-1])
    plain = HorizontalFlip(p=1.0, swap=[[3, 4]])(image.copy(), np.random.default_rng(0))
    assert np.array_equal(plain, image[:, ::-1])  # an image alone is mirrored as ever
    still = {"images": image.copy(), "mask": np.array([[3, 3, 4, 0]], dtype=np.uint8)}
    WeakAugment(flip=0.0, shift=0.0, swap=[[3, 4]]).apply(still, np.random.default_rng(0))
    assert still["mask"].tolist() == [[3, 3, 4, 0]]


@pytest.mark.parametrize("swap", [[[1, 2, 3]], [[1, 2], [2, 3]], [[1, 256]], [[0, 0]]])
def test_pairs_that_make_no_mirror_are_refused(swap: list[list[int]]) -> None:
    with pytest.raises(ValueError, match=r"swap=.* must be pairs of parts"):
        HorizontalFlip(swap=swap)


class Known(EmbeddedSegmenter):
    """Says part 1 everywhere."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(torch.ones(len(images), 64, 64).long(), 11).movedim(-1, 1).float()


def test_agreement_is_the_share_of_pixels() -> None:
    mask = torch.zeros(2, 64, 64, dtype=torch.int64)
    mask[0, :16] = 1  # a quarter of the first
    images = Sample(torch.zeros(2, 3, 64, 64), Condition(mask=mask), index=torch.arange(2))
    whole, half = MaskAgreement(Known()), MaskAgreement(Known())
    whole.update_fake(images)
    assert whole.compute()[""] == 1 / 8 and whole.name == "mask-agreement[Known,2]"
    assert whole.compute()["miou"] == pytest.approx(1 / 8 / 11)  # of part 1; the other ten have none
    half.update_fake(images[:1])
    rest = MaskAgreement(Known())
    rest.update_fake(images[1:])
    half.merge(rest.state())
    assert half.compute() == whole.compute()
    with pytest.raises(ValueError, match="the masks have the parts hair; Known knows background, "):
        MaskAgreement(Known(), part_names=["hair"])
    with pytest.raises(ValueError, match="generated images have no masks"):
        whole.update_fake(Sample(images.images))


def test_the_embedded_segmenter_agrees_with_drawn_portraits() -> None:
    data = DrawnPortraits("test", images=6)
    images = torch.stack([torch.from_numpy(data.image(i)).permute(2, 0, 1) for i in range(6)])
    mask = torch.stack([torch.from_numpy(data.mask(i)).long() for i in range(6)])
    metric = MaskAgreement(dict(type="EmbeddedSegmenter"), n_fake=6)
    metric.update_fake(Sample(images.float() / 127.5 - 1, Condition(mask=mask)))
    assert metric.compute()[""] > 0.97


def test_a_mask_is_a_picture_of_as_many_colours() -> None:
    colours = part_colours()
    assert len(np.unique(colours, axis=0)) == 256
    picture = picture_of_mask(torch.tensor([[0, 1]]))
    assert picture.shape == (3, 1, 2)
    assert torch.allclose(picture[:, 0, 1], torch.tensor([1.0, 1.0, -1.0]))
