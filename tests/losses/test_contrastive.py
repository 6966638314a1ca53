"""Image-text contrast against open forms."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from toolbox.losses.contrastive import image_text_contrastive


def test_orthogonal_pairs() -> None:
    loss = image_text_contrastive(torch.eye(4) * 3, torch.eye(4) * 0.2, logit_scale=5.0)
    assert loss.item() == pytest.approx(-math.log(math.exp(5) / (math.exp(5) + 3)), rel=1e-5)


def test_equal_features_give_log_n() -> None:
    assert image_text_contrastive(torch.ones(8, 3), torch.ones(8, 3), 10.0).item() == pytest.approx(
        math.log(8)
    )


def test_is_the_mean_of_both_directions() -> None:
    images, texts = torch.randn(5, 4), torch.randn(5, 4)
    scores = 7 * F.normalize(images, dim=1) @ F.normalize(texts, dim=1).t()
    own = torch.arange(5)
    expected = (F.cross_entropy(scores, own) + F.cross_entropy(scores.t(), own)) / 2
    torch.testing.assert_close(image_text_contrastive(images, texts, 7.0), expected)
    torch.testing.assert_close(image_text_contrastive(images, texts, 7.0, labels=own), expected)


def test_several_positives_share_the_target() -> None:
    images, texts, labels = torch.randn(3, 4), torch.randn(3, 4), torch.tensor([0, 1, 0])
    scores = 2 * F.normalize(images, dim=1) @ F.normalize(texts, dim=1).t()
    rows, columns = scores.log_softmax(1), scores.log_softmax(0)
    expected = (
        -(
            rows[[0, 0, 2, 2], [0, 2, 0, 2]].sum() / 2
            + rows[1, 1]
            + columns[[0, 2, 0, 2], [0, 0, 2, 2]].sum() / 2
            + columns[1, 1]
        )
        / 6
    )
    torch.testing.assert_close(image_text_contrastive(images, texts, 2.0, labels), expected)


def test_gradients() -> None:
    images, texts = (torch.randn(3, 4, dtype=torch.double, requires_grad=True) for _ in range(2))
    scale = torch.tensor(3.0, dtype=torch.double, requires_grad=True)
    labels = torch.tensor([0, 1, 0])
    assert torch.autograd.gradcheck(image_text_contrastive, (images, texts, scale))
    assert torch.autograd.gradcheck(
        lambda i, t, s: image_text_contrastive(i, t, s, labels), (images, texts, scale)
    )


def test_errors() -> None:
    with pytest.raises(
        ValueError, match=r"image_features \(2, 3\) and text_features \(3, 3\) must both be \(N, d\)"
    ):
        image_text_contrastive(torch.randn(2, 3), torch.randn(3, 3), 1.0)
    with pytest.raises(ValueError, match=r"labels have shape \(3,\), expected \(2,\)"):
        image_text_contrastive(torch.randn(2, 3), torch.randn(2, 3), 1.0, torch.zeros(3, dtype=torch.long))
