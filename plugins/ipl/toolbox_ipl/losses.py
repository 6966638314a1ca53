"""The formulas of IPL and StyleGAN-NADA on features: plain PyTorch, any precision.

Guo et al.: Zero-shot Generative Model Adaptation via Image-specific Prompt Learning, CVPR 2023 (IPL).
Gal et al.: StyleGAN-NADA: CLIP-Guided Domain Adaptation of Image Generators, SIGGRAPH 2022 (NADA).

E_I, E_T are CLIP's encoders, N(x) = x / ||x||; w_i is a latent, M^i its prompt with a label; s is the source,
t the target.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from toolbox.losses.contrastive import image_text_contrastive

CONTRASTS = ("infonce", "cosine_sum", "cosine_mean")
EPSILON = 1e-7  # of lengths, as NADA has it: equal images give the direction 0, not NaN


def unit(x: Tensor, epsilon: float = 0.0) -> Tensor:
    """N(x) over the last axis, x / (||x|| + epsilon)."""
    if not epsilon:
        return x / x.norm(dim=-1, keepdim=True)
    return x / (_length(x) + epsilon)


def _length(x: Tensor) -> Tensor:
    """||x||, whose gradient at 0 is 0."""
    squared = x.square().sum(dim=-1, keepdim=True)
    zero = squared == 0
    return squared.masked_fill(zero, 1.0).sqrt().masked_fill(zero, 0.0)


def contrast(images: Tensor, prompts: Tensor, form: str = "infonce", scale: Tensor | float = 100.0) -> Tensor:
    """How badly prompts tell their own images from the others.

        Sim_ij = cos(E_I(G_s(w_i)), E_T(M_s^j))
        infonce:      1/2 [CE(scale Sim, i) + CE(scale Sim^T, i)]            (the authors' code)
        cosine_sum:   sum_{i != j} Sim_ij - sum_i Sim_ii                     (the paper)
        cosine_mean:  mean_i [mean_{j != i} Sim_ij - Sim_ii]                 (ours)

    Args:
        images, prompts: (N, d) features, i belongs to i.
        form: one of CONTRASTS.
        scale: of InfoNCE, 1 / temperature; CLIP's own is 100.
    """
    if form == "infonce":
        return image_text_contrastive(images, prompts, scale)
    similar = unit(images) @ unit(prompts).t()  # (N, N)
    own = similar.diagonal()
    others = similar.sum(dim=1) - own  # (N,)
    if form == "cosine_sum":
        return (others - own).sum()
    return (others / max(len(own) - 1, 1) - own).mean()


def domain(prompts: Tensor, label: Tensor, reduction: str = "mean") -> Tensor:
    """How far prompts with a label are from what the label means (IPL, L_domain).

        mean:  mean_i [1 - cos(E_T(M^i), E_T(Y))]    (the authors' code)
        sum:   - sum_i cos(E_T(M^i), E_T(Y))         (the paper)

    Args:
        prompts: (N, d).
        label: (d,) feature of the label: the mean over templates.
        reduction: 'mean' or 'sum'.
    """
    similar = F.cosine_similarity(prompts, label[None], dim=-1)  # (N,)
    return -similar.sum() if reduction == "sum" else (1 - similar).mean()


def directions(source: Tensor, target: Tensor, epsilon: float = EPSILON) -> Tensor:
    """N(N(target_i) - N(source_i)), (N, d): where each image, or text, moved in CLIP's space."""
    return unit(unit(target) - unit(source), epsilon)


def text_direction(source: Tensor, target: Tensor) -> Tensor:
    """N(mean_k [N(target_k) - N(source_k)]), (d,), of K templates each (NADA)."""
    return unit((unit(target) - unit(source)).mean(dim=0))


def direction_losses(images: Tensor, texts: Tensor) -> Tensor:
    """1 - cos(dI_i, dT_i), (N,), of directions (N, d), and (N, d) or (1, d) of texts (IPL, L_adapt; NADA)."""
    return 1 - F.cosine_similarity(images, texts, dim=-1)


def global_loss(images: Tensor, text: Tensor) -> Tensor:
    """mean_i [1 - cos(E_I(G_t(w_i)), E_T("a Y_t"))] (NADA, L_global)."""
    return (1 - F.cosine_similarity(images, text[None], dim=-1)).mean()


def patch_loss(images: Tensor, texts: Tensor) -> Tensor:
    """mean_{p, k} softmax_k(dI_p . dT_k) (1 - cos(dI_p, dT_k)), over patches p and parts k (NADA's code).

    Args:
        images: (P, d) directions of patches.
        texts: (K, d) directions of the parts' names, of unit length.
    """
    similar = images @ texts.t()  # (P, K)
    distances = 1 - F.cosine_similarity(images[:, None], texts[None], dim=-1)
    return (distances * similar.softmax(dim=-1)).mean()


def manifold_loss(source: Tensor, target: Tensor, source_text: Tensor, target_text: Tensor) -> Tensor:
    """mean_i |cos(E_I(G_t(w_i)), E_I(G_s(w_i))) - cos(E_T(Y_t), E_T(Y_s))| (NADA's code).

    Args:
        source, target: (N, d) features of the two generators' images.
        source_text, target_text: (K, d) features of the labels in K templates.
    """
    moved = F.cosine_similarity(source, target, dim=-1).clamp(-1, 1)  # (N,)
    means = [unit(unit(text).mean(dim=0)) for text in (source_text, target_text)]
    return (moved - means[0] @ means[1]).abs().mean()
