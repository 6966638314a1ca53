"""Where float32 stays float32: TF32 (10 bits after the point) on a GPU, and autocast's half precisions.

torch's own default of TF32 is in between: convolutions may, matrix products may not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

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


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """No half precision here, whatever is going on around it."""
    known = torch.amp.is_autocast_available(device.type)  # not so on the meta device
    return torch.autocast(device.type, enabled=False) if known else nullcontext()
