"""Whether a GPU may round float32 to TF32 (10 bits after the point) in products and convolutions.

torch's own default is in between: convolutions may, matrix products may not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def tf32(on: bool) -> Iterator[None]:
    """Both kinds of products with TF32, or neither, as long as this lasts. Nothing changes on a CPU."""
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = cuda.allow_tf32, cudnn.allow_tf32
    cuda.allow_tf32 = cudnn.allow_tf32 = on
    try:
        yield
    finally:
        cuda.allow_tf32, cudnn.allow_tf32 = before
