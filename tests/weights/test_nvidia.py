"""NVIDIA's network pickles: every tensor and constructor argument, none of the code."""

from __future__ import annotations

import hashlib
import io
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pickle_makers import (
    SOURCE,
    EasyDict,
    Persistent,
    generator,
    layer,
    nvidia_modules,
    nvidia_pickle,
    snapshot,
    tensorflow_pickle,
)

from toolbox.weights.errors import WeightsError
from toolbox.weights.reading import read_weights


def read(path: Path, content: bytes) -> Any:
    """The file, as it is read."""
    path.write_bytes(content)
    return read_weights(path)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_tensor_of_a_snapshot(tmp_path: Path, protocol: int) -> None:
    """Names are those of the state dict, values equal bit for bit, strides do not matter."""
    original = snapshot()
    weights = read(tmp_path / "snapshot.pkl", nvidia_pickle(original, protocol))
    assert weights.format == "nvidia-pickle" and weights.networks() == ["G", "D", "G_ema"]
    for name in weights.networks():
        expected = original[name].state_dict()
        assert set(weights.part(name)) == set(expected)
        for key, value in weights.part(name).items():
            assert value.dtype == expected[key].dtype and torch.equal(value, expected[key]), key
    assert not any(
        module.partition(".")[0] in ("torch_utils", "dnnlib", "training") for module in sys.modules
    )


def test_what_is_needed_to_build_the_network(tmp_path: Path) -> None:
    """Class, constructor arguments and the source's digest; the source itself is dropped."""
    properties = read(tmp_path / "snapshot.pkl", nvidia_pickle()).properties
    assert properties["G_ema"] == {
        "class": "Generator",
        "init_args": [],
        "persistence_version": 6,
        "init_kwargs": {
            "z_dim": 8,
            "mapping_kwargs": {"num_layers": 2},
            "synthesis_kwargs": {"conv_clamp": 256},
        },
        "source_sha256": hashlib.sha256(SOURCE.encode()).hexdigest(),
    }
    assert properties["training_set_kwargs"]["resolution"] == 8 and properties["augment_pipe"] is None
    assert SOURCE not in str(properties)


def test_a_single_network(tmp_path: Path) -> None:
    """A pickle that is one network has unprefixed names."""
    original = generator()
    weights = read(tmp_path / "one.pkl", nvidia_pickle(original))
    assert weights.format == "nvidia-pickle" and weights.properties["class"] == "Generator"
    assert set(weights.tensors) == set(original.state_dict())


def test_tensorflow_networks(tmp_path: Path) -> None:
    """Variables by their own names, those of components below them; big-endian arrays are turned."""
    weights = read(tmp_path / "karras.pkl", tensorflow_pickle())
    assert weights.format == "nvidia-pickle" and weights.networks() == ["G", "D", "Gs"]
    assert list(weights.part("Gs")) == ["lod", "dlatent_avg", "synthesis/4x4/Conv/weight"]
    rng = np.random.default_rng(2)
    expected = rng.standard_normal((3, 3, 4, 4)).astype(np.float32)
    np.testing.assert_array_equal(weights.tensors["Gs.synthesis/4x4/Conv/weight"], expected)
    np.testing.assert_array_equal(
        weights.tensors["Gs.dlatent_avg"], rng.standard_normal(8).astype(np.float32)
    )
    assert weights.properties["Gs"]["static_kwargs"] == {"resolution": 8}
    assert SOURCE not in str(weights.properties)


def test_an_unknown_network_is_named_with_what_there_is(tmp_path: Path) -> None:
    """``part`` says what the file holds."""
    weights = read(tmp_path / "snapshot.pkl", nvidia_pickle())
    with pytest.raises(
        WeightsError, match=r"holds nothing called 'G_ma' - did you mean 'G_ema'.*it holds G, D, G_ema"
    ):
        weights.part("G_ma")


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        import os

        return os.system, (f"touch {self.marker}",)


def test_the_second_hole_is_closed(tmp_path: Path) -> None:
    """An inner torch file with a command in it: ``torch.storage._load_from_bytes`` would run it."""
    inner = io.BytesIO()
    torch.save(Evil(tmp_path / "ran"), inner, _use_new_zipfile_serialization=False)

    class Outer:
        def __reduce__(self) -> Any:
            return torch.storage._load_from_bytes, (inner.getvalue(),)

    with pytest.raises(WeightsError, match=r"asks for the name posix\.system, which weights never need"):
        read(tmp_path / "evil.pkl", pickle.dumps(dict(G_ema=Outer())))
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("place", ["beside", "attribute", "kwargs", "module"])
def test_a_command_anywhere_is_refused(tmp_path: Path, place: str) -> None:
    """One line that names what is asked for."""
    content = snapshot()
    evil: Any = Evil(tmp_path / "ran")
    if place == "beside":
        content["training_set_kwargs"] = evil
    elif place == "attribute":
        content["G_ema"].synthesis.trick = evil
    elif place == "kwargs":
        content["G_ema"]._init_kwargs["trick"] = evil
    else:
        content["G_ema"].__dict__["_modules"]["trick"] = evil
    with pytest.raises(
        WeightsError, match=r"snapshot\.pkl was not read: it asks for the name posix\.system"
    ) as error:
        read(tmp_path / "snapshot.pkl", nvidia_pickle(content))
    assert "\n" not in str(error.value) and not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.__dict__.update(_parameters=[1]), "_parameters of a network is a list"),
        (lambda g: g.__dict__["_modules"].update(child=3), "module 'child' is a int, not a network"),
        (lambda g: g.__dict__.update(_buffers={"x": "text"}), "'x' of a network is a str, not a tensor"),
    ],
)
def test_a_malformed_network(tmp_path: Path, change: Any, message: str) -> None:
    """Named, not crashed on."""
    made = Persistent("Generator")
    made.weight = torch.nn.Parameter(torch.ones(2))
    change(made)
    with pytest.raises(WeightsError, match=message):
        read(tmp_path / "g.pkl", nvidia_pickle(made))


def test_networks_nested_too_deep(tmp_path: Path) -> None:
    """A limit, not a crash of the interpreter."""
    made = layer()
    for _ in range(80):
        outer = Persistent("Block")
        outer.inner = made
        made = outer
    with pytest.raises(WeightsError, match="nested too deep"):
        read(tmp_path / "deep.pkl", nvidia_pickle(dict(G=made)))


def test_easy_dicts_come_back_as_dicts(tmp_path: Path) -> None:
    """EasyDict is a name of NVIDIA's; what is read is plain."""
    with nvidia_modules():
        content = pickle.dumps(dict(G=torch.ones(2), options=EasyDict(a=EasyDict(b=(1, "x")))), 2)
    assert read(tmp_path / "x.pkl", content).properties == {"options": {"a": {"b": [1, "x"]}}}
