"""Linear classifiers of image and text codes, for guidance by cross-entropy."""

from __future__ import annotations

from torch import nn

from toolbox.ranges import check_whole


class LabelClassifiers(nn.Module):
    """A linear classifier of image codes and one of sentence codes.

    Pre-training moves them together with the encoders; against a generator they are frozen.

    Args:
        classes: labels.
        code_dim: width of a code.

    Attributes:
        image, text: the layers, codes (N, code_dim) to logits (N, classes).
    """

    def __init__(self, classes: int, code_dim: int) -> None:
        super().__init__()
        check_whole(2, classes=classes)
        check_whole(1, code_dim=code_dim)
        self.classes = classes
        self.image = nn.Linear(code_dim, classes)
        self.text = nn.Linear(code_dim, classes)
