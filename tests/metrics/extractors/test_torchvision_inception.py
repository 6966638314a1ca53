"""torchvision's Inception as an extractor: recorded logits under weights made by a formula, names, faults."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.metrics.extractors.test_inception import formula_weight
from tests.metrics.toys import golden
from toolbox.compat import import_torchvision
from toolbox.interfaces import from_bytes
from toolbox.metrics.extractors import TorchvisionInception

ARRAYS = golden("inception_formula_weights")
IMAGES = from_bytes(torch.from_numpy(ARRAYS["images_u8"][:1]))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with torch.device("meta"):
        network = import_torchvision().models.inception_v3(weights=None, init_weights=False)
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    state = {key: formula_weight(key, list(value.shape)) for key, value in network.state_dict().items()}
    torch.save(state, path)
    return path


@torch.no_grad()
def features(extractor: TorchvisionInception) -> Tensor:
    return extractor(IMAGES)


def test_logits_and_protocols(weights: Path) -> None:
    plain = TorchvisionInception(weights, "plain", "logits", sha256=None)
    expected = ARRAYS["tv_logits"][:1]
    np.testing.assert_allclose(features(plain).numpy(), expected, atol=1e-4 * np.abs(expected).max())
    legacy = TorchvisionInception(weights, sha256=None)
    assert legacy.name == "inception-torchvision-legacy-t2i" and legacy.n_features == 2048
    assert plain.name == "inception-torchvision-plain-logits"
    assert legacy.fingerprint() != plain.fingerprint()
    assert not legacy.train().training and not any(p.requires_grad for p in legacy.parameters())


def test_faults(weights: Path) -> None:
    with pytest.raises(ValueError, match=r"protocol='legacy_t2' - did you mean 'legacy_t2i'"):
        TorchvisionInception(weights, "legacy_t2")
    with pytest.raises(ValueError, match=r"layer='768'; allowed: 2048, logits"):
        TorchvisionInception(weights, layer=768)
    with pytest.raises(
        FileNotFoundError, match=r"TorchvisionInception: weights is not given; get inception_v3_goo"
    ):
        TorchvisionInception()
    with pytest.raises(ValueError, match=r"expected 0cc3c7bd"):
        TorchvisionInception(weights)
