"""FID-Inception: layout, outputs under weights made by a formula, sharing, and files that are wrong."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.metrics.toys import DATA, Blocks, golden
from toolbox.interfaces import Sample, from_bytes
from toolbox.metrics.base import feature_key, with_features
from toolbox.metrics.extractors import FIDInception
from toolbox.metrics.extractors.inception_network import ConvBN, InceptionNetwork

ARRAYS = golden("inception_formula_weights")
IMAGES = from_bytes(torch.from_numpy(ARRAYS["images_u8"]))
MANIFEST = json.loads((DATA / "inception_manifest.json").read_text())


def formula_weight(key: str, shape: list[int]) -> Tensor:
    """The value of a tensor, from its name: as the reference outputs were made."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    n = np.random.RandomState(zlib.crc32(key.encode())).standard_normal(shape)
    if len(shape) >= 2:
        n = n * np.sqrt(2 / np.prod(shape[1:]))
    elif key.endswith("running_var"):
        n = 1 + 0.2 * np.abs(n)
    elif key.endswith("running_mean"):
        n = 0.1 * n
    else:
        n = 1 + 0.1 * n if key.endswith("weight") else 0.05 * n
    return torch.from_numpy(n.astype(np.float32))


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    return {key: formula_weight(key, shape) for key, shape in MANIFEST["keys"].items()}


@pytest.fixture(scope="module")
def weights(tensors: dict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.save(tensors, path)
    return path


@pytest.fixture(scope="module")
def extractor(weights: Path) -> FIDInception:
    return FIDInception(weights, sha256=None)


def close(ours: Tensor, theirs: np.ndarray) -> None:
    np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-4 * np.abs(theirs).max())


def test_names_and_shapes_are_those_of_the_published_file() -> None:
    with torch.device("meta"):
        own = {key: list(value.shape) for key, value in InceptionNetwork().state_dict().items()}
    assert own == MANIFEST["keys"]
    assert len(own) == 566


def test_tf_protocol_and_logits(extractor: FIDInception) -> None:
    with torch.no_grad():
        features = extractor(IMAGES)
        close(features, ARRAYS["fid_2048"])
        close(extractor.at("logits").head(features), ARRAYS["fid_logits"])
        close(extractor.at("logits_unbiased").head(features), ARRAYS["fid_logits_unbiased"])


@pytest.mark.parametrize("layer", ["64", "192", "768"])
def test_lower_layers(extractor: FIDInception, layer: str) -> None:
    other = extractor.at(layer)
    assert (other.name, other.n_features) == (f"inception-tf-{layer}", int(layer))
    with torch.no_grad():
        close(other(IMAGES), ARRAYS[f"fid_{layer}"])


@pytest.mark.parametrize(
    ("protocol", "array"),
    [
        ("pytorch_fid", "fid_2048_pytorch_fid_preproc"),
        ("clean", "fid_2048_cleanfid_preproc"),
        ("torch_aa", "fid_2048_torchmetrics_antialias"),
    ],
)
def test_other_protocols(extractor: FIDInception, protocol: str, array: str) -> None:
    other = extractor.at("2048")
    other.protocol = protocol
    with torch.no_grad():
        close(other(IMAGES)[:, ::8], ARRAYS[array])


def test_name_and_fingerprint_tell_protocols_apart(weights: Path, extractor: FIDInception) -> None:
    clean = FIDInception(weights, protocol="clean", sha256=None)
    assert (extractor.name, clean.name) == ("inception-tf", "inception-clean")
    assert len({extractor.fingerprint(), clean.fingerprint(), extractor.at("64").fingerprint()}) == 3
    assert extractor.at("2048").fingerprint() == extractor.fingerprint()


def test_logits_share_the_pass_of_the_features(extractor: FIDInception) -> None:
    passes: list[int] = []
    hook = extractor.network.register_forward_hook(lambda *_: passes.append(1))
    logits = extractor.at("logits_unbiased")
    sample = with_features(Sample(IMAGES), [logits, extractor])
    hook.remove()
    assert len(passes) == 1
    assert sample.extras[feature_key(logits)].shape == (2, 1008)
    assert sample.extras[feature_key(extractor)].shape == (2, 2048)


def test_stays_frozen_and_in_eval_mode(extractor: FIDInception) -> None:
    assert not extractor.train().training
    assert not any(parameter.requires_grad for parameter in extractor.parameters())


def test_safetensors_without_batch_counters(
    tensors: dict[str, Tensor], extractor: FIDInception, tmp_path: Path
) -> None:
    from safetensors.torch import save_file

    save_file(
        {key: value for key, value in tensors.items() if not key.endswith("tracked")},
        tmp_path / "i.safetensors",
    )
    assert FIDInception(tmp_path / "i.safetensors", sha256=None).fingerprint() == extractor.fingerprint()


def test_missing_file_says_which_and_how_to_get_it(tmp_path: Path) -> None:
    for weights in (None, tmp_path / "none.pth"):
        with pytest.raises(
            FileNotFoundError, match=r"get pt_inception-2015-12-05-6726825d\.pth .*from https://"
        ):
            FIDInception(weights)


def test_another_digest_is_refused(weights: Path) -> None:
    with pytest.raises(ValueError, match=r"has sha256 [0-9a-f]{16}\.\.\., expected 6726825d"):
        FIDInception(weights)


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    torch.save(
        {"fc.weight": torch.zeros(1000, 2048), "AuxLogits.fc.bias": torch.zeros(1)}, tmp_path / "other.pth"
    )
    with pytest.raises(ValueError, match="weights do not fit FID's Inception: missing Conv2d_1a_3x3"):
        FIDInception(tmp_path / "other.pth", sha256=None)
    torch.save({"code": Blocks()}, tmp_path / "code.pth")
    with pytest.raises(ValueError, match="cannot be read as tensors"):
        FIDInception(tmp_path / "code.pth", sha256=None)
    (tmp_path / "torn.pth").write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(ValueError, match="cannot be read as tensors"):
        FIDInception(tmp_path / "torn.pth", sha256=None)


def test_unknown_layer_and_protocol() -> None:
    with pytest.raises(ValueError, match=r"layer='2049': allowed are .*did you mean '2048'"):
        FIDInception(layer=2049)
    with pytest.raises(ValueError, match="protocol='tensorflow'"):
        FIDInception(protocol="tensorflow")


def test_folded_normalisation_is_the_layers_of_the_file(extractor: FIDInception) -> None:
    """Before the folding: convolution, normalisation, rectifier, one after the other."""
    block = extractor.network.Conv2d_1a_3x3
    x = torch.randn(2, 3, 9, 9)
    with torch.no_grad():
        torch.testing.assert_close(block(x), block.bn(block.conv(x)).relu(), atol=1e-6, rtol=1e-5)
    assert len(extractor.state_dict()) == 566  # what is folded is no part of it


def test_other_weights_are_folded_again() -> None:
    block, x = ConvBN(3, 4, 3).eval(), torch.randn(2, 3, 9, 9)
    before = block(x)
    block.load_state_dict({key: value + 1 for key, value in block.state_dict().items()})
    torch.testing.assert_close(block(x), block.bn(block.conv(x)).relu())
    assert not torch.equal(block(x), before)
