"""Loss terms of the classifier and of the generator it guides, against formulas written out."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from toolbox.interfaces import Condition, Sample
from toolbox_lcp.pseudo import LabelCrossEntropy, PseudoLabelCrossEntropy


class Table(torch.nn.Module):
    """Logits stand in the pixels."""

    def forward(self, images):
        return images.flatten(1)[:, :3]


def images(logits) -> torch.Tensor:
    return torch.tensor(logits, dtype=torch.float32)[:, :, None, None]


def turn(labels, weak, strong, **extra):
    condition = Condition(labels=torch.tensor(labels), extra=extra)
    real = Sample(images(weak) * 0, condition, extras={"weak": images(weak), "strong": images(strong)})
    return SimpleNamespace(real=real, network=lambda name: Table(), fake=Sample(images(strong), condition))


WEAK = [[2.0, 0, 0], [9.0, 0, 0], [1.0, 0, 0], [0, 9.0, 0]]
STRONG = [[0.0, 1, 0], [0, 1.0, 0], [1, 0, 5.0], [0.5, 0, 0]]


def test_fixmatch_by_hand():
    objective = PseudoLabelCrossEntropy(threshold=0.95, unlabelled_weight=2.0)
    loss = objective.losses()["classifier"](turn([0, -1, -1, -1], WEAK, STRONG))
    labelled = F.cross_entropy(torch.tensor(WEAK[:1]), torch.tensor([0]))
    confident = F.cross_entropy(torch.tensor([STRONG[1], STRONG[3]]), torch.tensor([0, 1]), reduction="sum")
    torch.testing.assert_close(loss, labelled + 2.0 * confident / 3)
    assert objective.log()["confident"] == pytest.approx(2 / 3) and not objective.log()


def test_no_gradient_through_the_teaching_view():
    t = turn([-1, -1, -1, -1], WEAK, STRONG)
    t.real.extras["weak"].requires_grad_(True)
    t.real.extras["strong"].requires_grad_(True)
    PseudoLabelCrossEntropy().classifier_loss(t).backward()
    assert not t.real.extras["weak"].grad.any() and t.real.extras["strong"].grad.any()


def test_labels_that_a_conditioner_filled_in_are_not_taken_for_given():
    given = torch.tensor([True, False, False, False])
    filled = PseudoLabelCrossEntropy().classifier_loss(turn([0, 2, 2, 2], WEAK, STRONG, labelled=given))
    hidden = PseudoLabelCrossEntropy().classifier_loss(turn([0, -1, -1, -1], WEAK, STRONG))
    torch.testing.assert_close(filled, hidden)


def test_all_labelled_and_none_labelled_are_finite():
    for labels in ([0, 1, 2, 0], [-1] * 4):
        assert PseudoLabelCrossEntropy().classifier_loss(turn(labels, WEAK, STRONG)).isfinite()


@pytest.mark.parametrize("teaches", ["generator", "classifier"])
def test_generated_images_are_classified_as_asked(teaches):
    loss = LabelCrossEntropy(teaches=teaches).losses()[teaches](turn([1, 1, 2, 0], WEAK, STRONG))
    torch.testing.assert_close(loss, F.cross_entropy(torch.tensor(STRONG), torch.tensor([1, 1, 2, 0])))


def test_faults():
    with pytest.raises(ValueError, match="threshold=95 must be a number in"):
        PseudoLabelCrossEntropy(threshold=95)
    t = turn([0, -1, -1, -1], WEAK, STRONG)
    t.real.extras.pop("strong")
    with pytest.raises(ValueError, match="the batch has \\['weak'\\]: add the 'strong' view"):
        PseudoLabelCrossEntropy().classifier_loss(t)
    t.fake.condition.labels = None
    with pytest.raises(ValueError, match=r"needs condition.labels of the generated images"):
        LabelCrossEntropy().cross_entropy(t)
