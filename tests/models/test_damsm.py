"""DAMSM's encoders: the published networks' codes from their own weights, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.models.t2i_filled import close, enlarged, filled, golden, manifest, shapes, state
from toolbox.models.damsm import DamsmImageEncoder, DamsmTextEncoder, SmallImageEncoder


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def text_encoder() -> DamsmTextEncoder:
    torch.manual_seed(0)
    return DamsmTextEncoder(20, 6, 8).eval()


@pytest.mark.parametrize(("name", "n_tokens"), [("cub", 5450), ("coco", 27297)])
def test_text_codes_equal_the_reference(name: str, n_tokens: int) -> None:
    arrays = golden(f"damsm_{name}_text_encoder")
    codes = filled(DamsmTextEncoder(n_tokens), f"damsm_{name}_text_encoder").encode_text(arrays["captions"])
    close(codes.words, arrays["words_emb"], 1e-6)
    close(codes.sentence, arrays["sent_emb"], 1e-6)
    assert torch.equal(codes.lengths, arrays["cap_lens"])


def test_a_caption_depends_neither_on_order_nor_on_padding() -> None:
    encoder, ids = text_encoder(), torch.tensor([[3, 4, 0, 0, 0], [5, 6, 7, 8, 9], [1, 2, 3, 0, 0]])
    codes = encoder.encode_text(ids)
    assert codes.mask.sum(1).tolist() == [2, 5, 3]
    for i, n in enumerate((2, 5, 3)):
        alone = encoder.encode_text(ids[i : i + 1, :n])
        close(codes.sentence[i], alone.sentence[0], 1e-6)
        close(codes.words[i, :, :n], alone.words[0], 1e-6)
        assert (codes.words[i, :, n:] == 0).all()


def test_dropout_is_of_training() -> None:
    encoder, ids = text_encoder(), torch.ones(1, 4, dtype=torch.int64)
    assert torch.equal(encoder(ids).sentence, encoder(ids).sentence)
    assert not torch.equal(encoder.train()(ids).sentence, encoder(ids).sentence)


@pytest.mark.parametrize(
    ("ids", "lengths", "message"),
    [
        ([[1, 2], [0, 0]], None, "caption 1 of the batch has no words"),
        ([[1, 20]], None, r"token 20 is beyond the vocabulary \(n_tokens=20\)"),
        ([[1, 2]], [3], "lengths up to 3 of captions with 2 places"),
        ([1, 2], None, r"ids must be \(N, L\), got \(2,\)"),
    ],
)
def test_what_is_no_caption(ids: list[object], lengths: list[int] | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        text_encoder().encode_text(torch.tensor(ids), None if lengths is None else torch.tensor(lengths))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DamsmTextEncoder(20, 6, 7), "code_dim=7 must be even"),
        (lambda: SmallImageEncoder(image_size=24), "image_size=24 and regions=8 must be powers of two"),
        (lambda: SmallImageEncoder(regions=32), "image_size=32 and regions=32 must be powers of two"),
        (lambda: DamsmImageEncoder(image_size=64), "image_size=64 must be a whole number of 75 or more"),
    ],
)
def test_sizes_that_do_not_fit(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]


def test_names_and_shapes_of_the_image_encoder() -> None:
    with torch.device("meta"):
        network = DamsmImageEncoder()
    assert shapes(network.state_dict()) == manifest("damsm_image_encoder")
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == 721_152


def image_encoder_state() -> dict[str, Tensor]:
    gained = lambda name, tensor: tensor.ndim == 4 and name != "emb_features.weight"  # noqa: E731
    plain = state("damsm_image_encoder")
    return {name: tensor * 1.6 if gained(name, tensor) else tensor for name, tensor in plain.items()}


@pytest.mark.slow
def test_image_codes_equal_the_reference(tmp_path: Path) -> None:
    """Also of projections that are trained on a file of torchvision's weights."""
    arrays, tensors = golden("damsm_image_encoder"), image_encoder_state()
    network = DamsmImageEncoder().eval()
    network.load_state_dict({f"module.{name}": tensor for name, tensor in tensors.items()})
    for corners in (1, 0):
        network.align_corners = bool(corners)
        codes, regions = network.encode_images(enlarged(arrays["x_low"]))
        close(codes, arrays[f"code_ac{corners}"])
        close(regions[:, ::4, ::2, ::2], arrays[f"region_ac{corners}"])
    inception = {name: tensor for name, tensor in tensors.items() if not name.startswith("emb_")}
    torch.save({**inception, "fc.weight": torch.ones(2, 2)}, tmp_path / "inception.pth")
    other = DamsmImageEncoder(inception=tmp_path / "inception.pth", update_statistics=False).train()
    assert torch.equal(other.Mixed_6e.branch1x1.conv.weight, network.Mixed_6e.branch1x1.conv.weight)
    assert not other.Mixed_6e.training and other.emb_cnn_code.training
    torch.save({"fc.weight": torch.ones(2, 2)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="is not torchvision's Inception-v3: missing in the file"):
        DamsmImageEncoder(inception=tmp_path / "other.pth")


def test_a_small_image_encoder() -> None:
    network = SmallImageEncoder(code_dim=12, image_size=16, channels=8, regions=4)
    codes, regions = network.encode_images(torch.randn(3, 3, 32, 32))
    assert codes.shape == (3, 12) and regions.shape == (3, 12, 4, 4)
    with pytest.raises(ValueError, match=r"images must be \(N, 3, H, W\), got \(3, 1, 16, 16\)"):
        network.encode_images(torch.randn(3, 1, 16, 16))
