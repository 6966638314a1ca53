"""Linear classifiers of image and text codes, for guidance by cross-entropy."""

from __future__ import annotations

from torch import nn

from toolbox.ranges import check_whole, given


class LabelClassifiers(nn.Module):
    """A linear classifier of image codes and one of sentence codes.

    Pre-training moves them together with the encoders; against a generator they are frozen.

    Args:
        classes: labels.
        code_dim: width of a code; None: that of ``encoder``.
        encoder: a network with ``code_dim`` or ``embedding_dim`` (``uses=dict(encoder='image_encoder')``);
            nothing else is asked of it.

    Attributes:
        image, text: the layers, codes (N, code_dim) to logits (N, classes).

    Raises:
        ValueError: when nothing says the width of a code.
    """

    def __init__(self, classes: int, code_dim: int | None = None, encoder: nn.Module | None = None) -> None:
        super().__init__()
        check_whole(2, classes=classes)
        check_whole(1, **given(code_dim=code_dim))
        code_dim = code_dim or getattr(encoder, "code_dim", None) or getattr(encoder, "embedding_dim", None)
        if not isinstance(code_dim, int):
            raise ValueError(
                "LabelClassifiers: code_dim is not given, and no encoder says it: set code_dim, or "
                "uses=dict(encoder=...)"
            )
        self.classes = classes
        self.image = nn.Linear(code_dim, classes)
        self.text = nn.Linear(code_dim, classes)
