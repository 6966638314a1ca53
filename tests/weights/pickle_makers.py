"""Files in others' layouts: NVIDIA's network pickles (with stub modules), TensorFlow's, TorchScript."""

from __future__ import annotations

import io
import pickle
import sys
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

SOURCE = "raise SystemExit('the embedded source was run')\n"


class EasyDict(dict):
    """A dict with attribute access, as dnnlib has it."""

    __module__, __qualname__ = "dnnlib.util", "EasyDict"

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Persistent(nn.Module):
    """What ``@persistence.persistent_class`` does to a module, as far as the pickle shows it."""

    def __init__(self, class_name: str, *init_args: Any, **init_kwargs: Any) -> None:
        super().__init__()
        self.class_name = class_name
        self._init_args, self._init_kwargs = init_args, EasyDict(init_kwargs)

    def __reduce__(self) -> Any:
        state = {key: value for key, value in self.__dict__.items() if key != "class_name"}
        meta = dict(type="class", version=6, module_src=SOURCE, class_name=self.class_name, state=state)
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (meta,)


class TFNetwork:
    """dnnlib.tflib.network.Network, as far as the pickle shows it."""

    __module__, __qualname__ = "dnnlib.tflib.network", "Network"

    def __init__(self, name: str, variables: list[tuple[str, Any]], **components: Any) -> None:
        self.state = dict(
            version=4,
            name=name,
            static_kwargs=EasyDict(resolution=8),
            components=EasyDict(components),
            build_module_src=SOURCE,
            build_func_name="G_main",
            variables=variables,
        )

    def __getstate__(self) -> dict[str, Any]:
        return self.state


@contextmanager
def nvidia_modules() -> Iterator[None]:
    """The modules that such pickles name, while they are written; gone when they are read."""
    persistence, util, network = (
        ModuleType(n) for n in ("torch_utils.persistence", "dnnlib.util", "dnnlib.tflib.network")
    )

    def _reconstruct_persistent_obj(meta: Any) -> Any:
        raise AssertionError("never called")

    _reconstruct_persistent_obj.__module__ = persistence.__name__
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    persistence._reconstruct_persistent_obj = _reconstruct_persistent_obj  # type: ignore[attr-defined]
    util.EasyDict, network.Network = EasyDict, TFNetwork  # type: ignore[attr-defined]
    made = {module.__name__: module for module in (persistence, util, network)}
    made |= {name: ModuleType(name) for name in ("torch_utils", "dnnlib", "dnnlib.tflib")}
    sys.modules.update(made)
    try:
        yield
    finally:
        for name in made:
            del sys.modules[name]


def layer(seed: int = 0, **kwargs: Any) -> Persistent:
    """A synthesis layer with every kind of tensor that the real ones have."""
    rng = torch.Generator().manual_seed(seed)
    made = Persistent("SynthesisLayer", 4, 4, **kwargs)
    made.weight = nn.Parameter(torch.randn(4, 3, 3, 3, generator=rng).to(memory_format=torch.channels_last))
    made.noise_strength = nn.Parameter(torch.randn([], generator=rng))
    made.register_parameter("nothing", None)
    made.register_buffer("resample_filter", torch.rand(4, 4, generator=rng))
    made.register_buffer("scratch", torch.zeros(3), persistent=False)
    made.weight_gain = np.float64(0.25) / np.sqrt(27)  # a numpy number, as in the original
    made.size = np.asarray([4, 4])
    made.affine = Persistent("FullyConnectedLayer", 8, 4)
    made.affine.bias = nn.Parameter(torch.ones(4, dtype=torch.float16))
    return made


def generator(seed: int = 0) -> Persistent:
    """A generator of three levels."""
    made = Persistent(
        "Generator", z_dim=8, mapping_kwargs=EasyDict(num_layers=2), synthesis_kwargs=EasyDict(conv_clamp=256)
    )
    made.synthesis = Persistent("SynthesisNetwork")
    made.synthesis.b4 = Persistent("SynthesisBlock")
    made.synthesis.b4.conv1 = layer(seed, use_noise=True)
    made.mapping = Persistent("MappingNetwork")
    made.mapping.register_buffer("w_avg", torch.arange(8.0) + seed)
    return made


def snapshot() -> dict[str, Any]:
    """The dict of a training snapshot."""
    return dict(
        G=generator(1),
        D=layer(2),
        G_ema=generator(3),
        augment_pipe=None,
        training_set_kwargs=EasyDict(
            class_name="training.dataset.ImageFolderDataset", resolution=8, use_labels=False
        ),
    )


def nvidia_pickle(content: Any = None, protocol: int = 4) -> bytes:
    """A snapshot as the training loop writes it."""
    with nvidia_modules():
        return pickle.dumps(snapshot() if content is None else content, protocol)


def tensorflow_pickle(protocol: int = 3) -> bytes:
    """(G, D, Gs) of the TensorFlow versions."""

    def network(name: str, seed: int) -> TFNetwork:
        rng = np.random.default_rng(seed)
        synthesis = TFNetwork(
            "synthesis", [("4x4/Conv/weight", rng.standard_normal((3, 3, 4, 4)).astype(np.float32))]
        )
        return TFNetwork(
            name,
            [("lod", np.float32(0)), ("dlatent_avg", rng.standard_normal(8).astype(">f4"))],
            synthesis=synthesis,
        )

    with nvidia_modules():
        return pickle.dumps((network("G", 0), network("D", 1), network("Gs", 2)), protocol)


def torch_zip(content: Any = None) -> bytes:
    """A file of ``torch.save``."""
    file = io.BytesIO()
    torch.save(state() if content is None else content, file)
    return file.getvalue()


def torch_legacy(content: Any = None) -> bytes:
    """A file of ``torch.save`` before torch 1.6."""
    file = io.BytesIO()
    torch.save(state() if content is None else content, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


def state() -> dict[str, Any]:
    """A small checkpoint."""
    rng = torch.Generator().manual_seed(0)
    own = OrderedDict(weight=torch.randn(5, 3, generator=rng), half=torch.rand(7, generator=rng).half())
    own["flag"] = torch.tensor([True, False])
    own["view"] = own["weight"][:, :1]
    return dict(state_dict=own, epoch=3, note="a text")


def safetensors_file() -> bytes:
    """Three tensors."""
    from safetensors.torch import save

    return save(
        {
            "a": torch.arange(6.0).reshape(2, 3),
            "b": torch.ones(4, dtype=torch.float16),
            "c": torch.tensor([1, 2]),
        },
        {"note": "a text"},
    )


class Scripted(nn.Module):
    """A module for TorchScript."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))
        self.constant = torch.ones(3)  # neither parameter nor buffer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x) + self.constant.sum()


def torchscript(module: nn.Module | None = None) -> bytes:
    """A TorchScript archive."""
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(module or Scripted()), file)
    return file.getvalue()
