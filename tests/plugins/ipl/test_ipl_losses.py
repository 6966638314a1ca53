"""The formulas against numbers that the authors' own routines gave (data/losses_seed0.npz, float64)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from toolbox_ipl import losses
from toolbox_ipl.templates import TEMPLATES

GOLDEN = dict(np.load(Path(__file__).parent / "data" / "losses_seed0.npz"))
BOUND = dict(rtol=1e-10, atol=1e-10)


def given(name: str) -> Tensor:
    return torch.from_numpy(GOLDEN[f"in_{name}"])


def expect(value: Tensor, name: str, bound: dict[str, float] | None = None) -> None:
    torch.testing.assert_close(value, torch.from_numpy(GOLDEN[f"out_{name}"]), **(bound or BOUND))


def texts(side: str, residual: str, prompts: Tensor | None = None) -> Tensor:
    """N(E_T(M^i) + e), of one of the three residuals."""
    features = given(f"prompt_features_{side}") if prompts is None else prompts
    if residual == "none":
        return losses.unit(features)
    base = given(f"init_feature_{side}" if residual == "class" else "base_feature_prefix_only")
    return losses.unit(features + base)


def meaning(side: str) -> Tensor:
    return losses.unit(given(f"template_features_{side}")).mean(dim=0)


def stage1(weight: float, source_weight: float, src: Tensor, tgt: Tensor) -> Tensor:
    scale = given("log_logit_scale").exp()
    contrast = losses.contrast(given("image_features_src"), texts("src", "class", src), scale=scale)
    of_target = losses.domain(texts("tgt", "class", tgt), meaning("tgt"))
    of_source = losses.domain(texts("src", "class", src), meaning("src"))
    return contrast + weight * (of_target + source_weight * of_source)


def test_stage_1_of_the_authors_code() -> None:
    images, source = given("image_features_src"), texts("src", "class")
    expect(losses.unit(images) @ source.t(), "stage1_code_similarity_matrix_cos")
    scale = given("log_logit_scale").exp()
    expect(losses.contrast(images, source, scale=scale), "stage1_code_contrastive")
    expect(losses.domain(texts("tgt", "class"), meaning("tgt")), "stage1_code_domain_target")
    expect(losses.domain(source, meaning("src")), "stage1_code_domain_source")


@pytest.mark.parametrize(("weight", "source_weight"), [("0", "0"), ("1", "0"), ("1", "1"), ("10", "0.5")])
def test_stage_1_with_its_weights(weight: str, source_weight: str) -> None:
    prompts = given("prompt_features_src"), given("prompt_features_tgt")
    loss = stage1(float(weight), float(source_weight), *prompts)
    expect(loss, f"stage1_code_total_lambda{weight}_src{source_weight}")


def test_gradients_of_stage_1() -> None:
    prompts = [given(f"prompt_features_{side}").requires_grad_() for side in ("src", "tgt")]
    stage1(10, 0.5, *prompts).backward()
    for side, prompt in zip(("src", "tgt"), prompts, strict=True):
        assert prompt.grad is not None
        expect(prompt.grad, f"stage1_code_total_lambda10_src0.5_grad_prompt_features_{side}")


def test_stage_1_of_the_paper() -> None:
    images, source = given("image_features_src"), given("prompt_features_src")
    target = given("prompt_features_tgt")
    expect(losses.contrast(images, source, "cosine_sum"), "stage1_paper_contrastive_sum")
    single = losses.domain(target, given("init_feature_tgt"), "sum")
    expect(single, "stage1_paper_domain_sum_single_label")
    expect(losses.domain(target, meaning("tgt"), "sum"), "stage1_paper_domain_sum_template_mean")


def test_the_mean_of_cosines_weighs_rows_alike() -> None:
    images, source = given("image_features_src"), given("prompt_features_src")
    n = len(images)
    similar = losses.unit(images) @ losses.unit(source).t()
    rows = [float(similar[i].sum() - similar[i, i]) / (n - 1) - float(similar[i, i]) for i in range(n)]
    assert float(losses.contrast(images, source, "cosine_mean")) == pytest.approx(sum(rows) / n, abs=1e-12)


@pytest.mark.parametrize("form", losses.CONTRASTS)
def test_one_image_alone(form: str) -> None:
    feature = given("image_features_src")[:1]
    alone = losses.contrast(feature, feature, form)
    assert float(alone) == pytest.approx(0.0 if form == "infonce" else -1.0, abs=1e-12)


@pytest.mark.parametrize(
    ("residual", "direction", "loss"),
    [
        ("prefix", "code_text_direction_prefix_only", "code_loss_prefix_only"),
        ("class", "text_direction_with_class_residual", "loss_with_class_residual"),
        ("none", "paper_text_direction", "paper_loss_mean"),
    ],
)
def test_stage_2_with_the_three_residuals(residual: str, direction: str, loss: str) -> None:
    images = losses.directions(given("image_features_src"), given("image_features_tgt"), epsilon=0.0)
    expect(images, "stage2_image_direction")
    texts_moved = losses.unit(texts("tgt", residual) - texts("src", residual))
    expect(texts_moved, f"stage2_{direction}")
    each = losses.direction_losses(images, texts_moved)
    expect(each.mean(), f"stage2_{loss}")
    if residual == "none":
        expect(each, "stage2_paper_per_sample")
        expect(each.sum(), "stage2_paper_loss_sum")
    if residual == "prefix":
        expect(each, "stage2_code_per_sample_prefix_only")


def test_the_five_terms_of_nada() -> None:
    source, target = given("image_features_src"), given("image_features_tgt")
    sides = given("template_features_src"), given("template_features_tgt")
    text = losses.text_direction(*sides)
    expect(text[None], "nada_text_direction")
    each = losses.direction_losses(losses.directions(source, target), text[None])
    expect(each.mean(), "nada_directional_loss")
    expect(losses.manifold_loss(source, target, *sides), "nada_manifold_loss")
    expect(losses.global_loss(target, given("global_text_feature")), "nada_global_loss_single_text")
    pair = given("patch_image_features_src"), given("patch_image_features_tgt")
    patches = losses.directions(*pair, epsilon=0.0)
    expect(losses.patch_loss(patches, given("patch_text_directions")), "nada_patch_directional_loss")


def test_equal_images_have_no_direction_and_no_gradient_that_is_not_a_number() -> None:
    source = given("image_features_src")
    target = source.clone().requires_grad_()
    text = losses.text_direction(given("template_features_src"), given("template_features_tgt"))
    each = losses.direction_losses(losses.directions(source, target), text[None])
    each.mean().backward()
    assert torch.equal(each, torch.ones_like(each))
    assert target.grad is not None and bool(target.grad.isfinite().all())


def test_there_are_79_templates() -> None:
    assert len(set(TEMPLATES)) == len(TEMPLATES) == 79
    assert all(template.count("{}") == 1 and template.endswith(".") for template in TEMPLATES)
    assert "a photo of many {}." not in TEMPLATES
