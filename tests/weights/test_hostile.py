"""No file keeps its reader busy: processor time and memory of several hundred that try, one by one."""

from __future__ import annotations

import contextlib
import json
import resource
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hostile
import pytest
import torch

import toolbox
from tests.models.test_from_files import as_persistent
from tests.models.test_stylegan_layouts import stylegan2
from tests.weights.pickle_makers import EasyDict, nvidia_pickle, safetensors_file, torch_zip
from toolbox.training.checkpoints import read_checkpoint
from toolbox.weights.errors import WeightsError
from toolbox.weights.reading import Weights, read_weights

SECONDS, BYTES = 5.0, 2**30
SOON = (
    "laughs of tuple, zip",
    "laughs as key, zip",
    "network: modules twice each",
    "network: components twice each",
)

#: Of what must be read soon, what holds tensors after all.
HARMLESS = {f"archive: a script {of}" for of in ("of 60 MB", "on one line", "of blanks")}
HARMLESS |= {"safetensors: an empty 2^40", "safetensors: many axes", "safetensors: long names"}


class Stopped(BaseException):
    """The limit of processor time is long over."""


class Measured:
    """Tries files, and remembers how long each took and how much memory."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[float, int]] = {}  # {name: (seconds, bytes)}
        self.accepted: list[str] = []
        self.unclear: dict[str, str] = {}

    def __call__(self, name: str, act: Callable[[], Any]) -> None:
        """Read; an error must be one of ours, in one printable line."""
        with _limits():
            before, start = _peak(), time.process_time()
            try:
                act()
                self.accepted.append(name)
            except Exception as error:
                line = str(error)
                ours = type(error).__module__.startswith("toolbox")
                if not ours or not line.isprintable() or "BuildError" in line:
                    self.unclear[name] = f"{type(error).__name__}: {line[:200]}"
            self.found[name] = (time.process_time() - start, _peak(reset=False) - before)

    def worst(self) -> str:
        """The slowest and the largest, in words."""
        slow = sorted(self.found.items(), key=lambda pair: -pair[1][0])[:5]
        large = sorted(self.found.items(), key=lambda pair: -pair[1][1])[:5]
        read, unclear = len(self.accepted), len(self.unclear)
        refused = len(self.found) - read - unclear
        lines = [f"{len(self.found)} readings: {refused} refused, {read} read, {unclear} unclear"]
        lines += [f"{seconds:6.2f} s  {name}" for name, (seconds, _) in slow]
        lines += [f"{size / 2**20:6.0f} MB {name}" for name, (_, size) in large]
        return "\n".join(lines)

    def check(self) -> None:
        """All of them within the limits, and refused in words."""
        print(self.worst())  # noqa: T201 - shown with -s
        slow = {name: pair for name, pair in self.found.items() if pair[0] > SECONDS or pair[1] > BYTES}
        assert not slow and not self.unclear


def _peak(reset: bool = True) -> int:
    """Resident bytes now, from which the peak is counted anew; without ``reset`` the peak since then."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


@contextlib.contextmanager
def _limits() -> Iterator[None]:
    """What goes wrong ends here, and not the machine: 60 s of processor time, 8 GB of addresses more."""

    def stop(*_: Any) -> None:
        raise Stopped("more than 60 s of processor time")

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    handler = signal.signal(signal.SIGPROF, stop)
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**33, hard))
    signal.setitimer(signal.ITIMER_PROF, 60)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.fixture
def measured() -> Measured:
    """A fresh one, after everything is imported that reading imports."""
    pytest.importorskip("resource")
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("memory is measured by Linux's /proc")
    return Measured()


def test_the_worst_of_each_kind_is_refused_soon(tmp_path: Path, measured: Measured) -> None:
    """Doubling structures, which took minutes: a few of the corpus below, in every run of the tests."""
    files = hostile.all_files()
    for name in SOON:
        path = tmp_path / "weights.bin"
        path.write_bytes(files[name]())
        measured(name, lambda path=path: read_weights(path))
        measured(f"{name}, as checkpoint", lambda path=path: read_checkpoint(path))
    measured.check()
    assert all(name.endswith(("tuple, zip", "tuple, zip, as checkpoint")) for name in measured.accepted)


@pytest.mark.slow
def test_files_of_weights(tmp_path: Path, measured: Measured) -> None:
    """Every program in every container, networks, archives, safetensors: by two ways in."""
    files = hostile.all_files()
    path = tmp_path / "weights.bin"
    for name, write in files.items():
        path.write_bytes(write())
        measured(name, lambda: read_weights(path))
        if ", zip" in name or ", legacy" in name:
            measured(f"{name}, as checkpoint", lambda: read_checkpoint(path))
    assert len(files) >= 250
    as_weights = [name for name in measured.accepted if not name.endswith("as checkpoint")]
    assert set(as_weights) <= HARMLESS
    measured.check()


@pytest.mark.slow
def test_cards(tmp_path: Path, measured: Measured) -> None:
    """Not utf-8, nested, endless numbers; networks with any argument of any size."""
    for name, raw in hostile.RAW_CARDS.items():
        path = hostile.write_card(tmp_path, raw)
        measured(f"card: {name}", lambda path=path: toolbox.load_generator(path))
    network = stylegan2()
    weights = _saved(network.state_dict())
    for kind in ("StyleGAN2Generator", "StyleGANGenerator", "PGGANGenerator", "BigGANGenerator"):
        for key in ("image_size", "latent_dim", "n_conditions", "mapping_layers", "channel_base", "channels"):
            for value in hostile.VALUES[:: 1 if kind == "StyleGAN2Generator" else 4]:
                card = dict(network={"type": kind, key: value})
                path = hostile.write_card(tmp_path, card, weights)
                measured(
                    f"card: {kind} {key}={str(value)[:20]}", lambda path=path: toolbox.load_generator(path)
                )
    assert not measured.accepted
    measured.check()


@pytest.mark.slow
def test_constructor_arguments_of_pickles(tmp_path: Path, measured: Measured) -> None:
    """NVIDIA's ``init_kwargs``, whatever they say: refused, or sizes that the tensors say better."""
    network = stylegan2()
    path = tmp_path / "x.pkl"
    path.write_bytes(nvidia_pickle(dict(G_ema=as_persistent(network, "Generator"))))
    right = _two_images(toolbox.load_generator(path))
    loaded: dict[str, Any] = {}
    keys = (
        "z_dim",
        "img_resolution",
        "channel_base",
        "resample_filter",
        "architecture",
        "activation",
        "conv_clamp",
    )
    nested = ("mapping_kwargs", "synthesis_kwargs")
    for key in (*keys, *nested, "mapping_kwargs.num_layers", "mapping_kwargs.embed_features", "made_up"):
        for value in hostile.VALUES:
            outer, _, inner = key.partition(".")
            given = {outer: EasyDict({inner: value}) if inner else value}
            path.write_bytes(nvidia_pickle(dict(G_ema=as_persistent(network, "Generator", **given))))
            name = f"init_kwargs: {key}={str(value)[:20]}"
            measured(name, lambda name=name: loaded.update({name: toolbox.load_generator(path)}))
            if name in loaded:
                assert torch.equal(_two_images(loaded.pop(name)), right), name
    measured.check()


@pytest.mark.slow
def test_tensors_of_published_layouts(tmp_path: Path, measured: Measured) -> None:
    """Names and shapes that no network has, in a layout that is known."""
    state = stylegan2().state_dict()
    path = tmp_path / "x.pth"
    changes: dict[str, dict[str, torch.Tensor]] = {}
    for size in ("1048576", "1073741824", "9" * 30, "9" * 1900, "0", "3", "00000008"):
        changes[f"block {size[:20]}"] = {f"synthesis.b{size}.conv1.weight": torch.ones(8, 8, 3, 3)}
        changes[f"layer {size[:20]}"] = {f"mapping.fc{size}.weight": torch.ones(8, 8)}
        changes[f"genforce {size[:20]}"] = {
            "synthesis.early_layer.const": torch.ones(1, 8, 4, 4),
            f"synthesis.layer{size}.weight": torch.ones(8, 8, 3, 3),
            f"synthesis.output{size}.bias": torch.ones(3),
        }
        changes[f"pggan {size[:20]}"] = {
            "output0.weight": torch.ones(3, 8, 1, 1),
            "layer0.weight": torch.ones(8, 8, 4, 4),
            f"layer{size}.bias": torch.ones(8),
        }
    for name in state:
        if state[name].ndim:
            changes[f"{name} without axes"] = {name: torch.ones(())}
        changes[f"{name} empty"] = {name: torch.ones(0, 2**40)}
    changes["30,000 layers"] = {f"mapping.fc{i}.weight": torch.ones(1, 1) for i in range(30_000)}
    wide = {"style.1.weight": torch.ones(1, 2**20), "style.1.bias": torch.ones(2**20)}
    changes["a wide mean"] = {"conv1.conv.modulation.weight": torch.ones(1), **wide}
    for name, change in changes.items():
        alone = name.startswith(("genforce", "pggan", "a wide"))
        torch.save(change if alone else {**state, **change}, path)
        measured(f"layout: {name}", lambda: toolbox.load_generator(path))
    odd = [name for name in measured.accepted if "num_batches" not in name]
    assert len(changes) > 60 and not odd, odd
    measured.check()


# -- what the limits leave alone -----------------------------------------------------------------------------


def test_true_files_are_far_from_every_limit(tmp_path: Path) -> None:
    """StyleGAN2 at 1024 pixels with its 3 networks, 600 tensors each: a third of what is allowed."""
    from toolbox.weights import limits

    layers = {f"l{i}": torch.nn.Linear(2, 2) for i in range(300)}
    content = {key: as_persistent(torch.nn.ModuleDict(layers), "Generator") for key in ("G", "D", "G_ema")}
    meters: list[limits.Meter] = []

    class Kept(limits.Meter):
        def __init__(self) -> None:
            super().__init__()
            meters.append(self)

    path = tmp_path / "x.pkl"
    path.write_bytes(nvidia_pickle(content))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toolbox.weights.nvidia.Meter", Kept)
        assert len(read_weights(path).tensors) == 1800
    print(meters[0].steps)  # noqa: T201 - shown with -s
    (meter,) = meters
    assert meter.steps < limits.MOST_STEPS / 3 and meter.copied < meter.seen * 1.5


def test_shared_and_stretched_tensors_of_true_files(tmp_path: Path) -> None:
    """Weights that are shared, a view that repeats a row, one list in two places, small tuples as keys."""
    weight, row = torch.randn(64, 64), torch.randn(64)
    names = ["a", "b"]
    content = dict(a=weight, b=weight, c=weight.t(), d=row.expand(4, 64), names=names, again=names)
    path = tmp_path / "x.pth"
    path.write_bytes(torch_zip(content))
    found = read_weights(path)
    assert torch.equal(found.tensors["c"], weight.t()) and found.tensors["d"].shape == (4, 64)
    assert found.properties == dict(names=names, again=names)
    path.write_bytes(
        torch_zip({"x": {(1, "a"): torch.ones(1)}, "s": {1, 2}, "d": torch.device("cpu"), "t": torch.float16})
    )
    assert read_checkpoint(path)["x"][1, "a"] == 1
    assert isinstance(read_weights(_put(tmp_path / "y", safetensors_file())), Weights)


@pytest.mark.parametrize(
    "value",
    [
        torch.ones(2, dtype=torch.uint16),
        torch.ones(2).to(torch.float8_e4m3fn),
        torch.ones(2, dtype=torch.complex64),
        torch.nn.Parameter(torch.ones(2)),
    ],
)
def test_every_type_of_tensor_passes_the_census(tmp_path: Path, value: torch.Tensor) -> None:
    """Types that are younger than torch's named storages, and parameters."""
    path = _put(tmp_path / "x.pth", torch_zip(dict(a=value)))
    assert read_checkpoint(path)["a"].dtype == value.dtype


def _two_images(network: Any) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    with torch.no_grad():
        return network.eval().generate(network.sample_latents(2, rng), None, rng).images


def _put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def _saved(state: dict[str, torch.Tensor]) -> bytes:
    from safetensors.torch import save

    return save({key: value.contiguous() for key, value in state.items()})


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ('{"a": "ä"}'.encode("latin1"), "it is not in utf-8"),
        (b"[" * 100_000, "it nests deeper than 64"),
        (b'{"a":' * 100 + b"1" + b"}" * 100, "it nests deeper than 64"),
        (b'{"a": ' + b"9" * 10_000 + b"}", "it holds a number of 10,000 digits"),
        (b'{"a": 1e999}', "it holds a number that is too large"),
        (b'{"a": 1', "it is no JSON"),
    ],
)
def test_cards_that_are_none_are_refused_in_words(tmp_path: Path, raw: bytes, words: str) -> None:
    """One line each, without the name of an error of Python's."""
    path = hostile.write_card(tmp_path, raw)
    with pytest.raises(WeightsError, match=words) as error:
        toolbox.load_generator(path)
    assert "Error" not in str(error.value)


@pytest.mark.parametrize("key", ["image_size", "mapping_layers", "latent_dim", "n_conditions", "channel_max"])
@pytest.mark.parametrize("value", [2**20, 10**6, 2**40, "x", -1, [1]])
def test_a_card_declares_no_more_than_the_file_holds(tmp_path: Path, key: str, value: Any) -> None:
    """Compared before anything is built; no error of Python's in the line."""
    card = dict(network={"type": "StyleGAN2Generator", key: value})
    path = hostile.write_card(tmp_path, card)
    with pytest.raises(WeightsError) as error:
        toolbox.load_generator(path)
    assert "Error:" not in str(error.value) and str(error.value).isprintable()
    assert json.loads(path.with_suffix(".json").read_text())
