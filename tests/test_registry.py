"""Building from configs: what works, and the errors of what does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from toolbox.data.base import ImageSet
from toolbox.interfaces import Clusterer, Condition, Generator
from toolbox.plugins import host
from toolbox.registry import REGISTRIES, BuildError, build


def test_a_component_is_built_by_name() -> None:
    assert isinstance(build(dict(type="KMeans", clusters=2), "clusterer"), Clusterer)


def test_what_is_built_already_is_returned() -> None:
    made = torch.nn.Linear(1, 1)
    assert build(made, "network") is made and build(None) is None


def test_classes_and_dotted_names() -> None:
    assert build(dict(type=torch.nn.Linear, in_features=1, out_features=2)).out_features == 2
    assert isinstance(build(dict(type="torch.nn.ReLU")), torch.nn.ReLU)
    with pytest.raises(BuildError, match=r"cannot import 'torch\.nn\.ReLUU'"):
        build(dict(type="torch.nn.ReLUU"))


@pytest.mark.parametrize(
    ("config", "kind", "message"),
    [
        (dict(type="KMaens"), "clusterer", "x.y: no clusterer is called 'KMaens' - did you mean 'KMeans'"),
        (
            dict(type="KMeans"),
            "generator",
            "x.y: 'KMeans' is a clusterer, a generator is needed here; there are: .*BigGANGenerator",
        ),
        (
            dict(type="KMeans", cluster=3),
            None,
            "x.y: KMeans has no argument 'cluster' - did you mean 'clusters'.*; it has: clusters, ",
        ),
        (dict(clusters=3), None, r"x.y: a component needs a 'type', got only \['clusters'\]"),
        (dict(type="KMeans", clusters=0), None, "x.y: cannot build KMeans: ValueError: clusters=0"),
    ],
)
def test_errors_name_the_place_and_the_mend(
    config: dict[str, object], kind: str | None, message: str
) -> None:
    with pytest.raises(BuildError, match=message):
        build(config, kind, "x.y")


def test_what_the_toolbox_fills_in_may_not_be_set() -> None:
    with pytest.raises(BuildError, match=r"FID: \['extractor'\] is filled in by the toolbox"):
        build(dict(type="FID", extractor=dict(type="PooledPixels")), extractor=None)


def test_a_class_that_does_not_fit_its_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = host().catalog
    monkeypatch.setattr(catalog, "_entries", dict(catalog._entries))
    catalog.add("clusterer", "NotAClusterer", "torch.nn:Linear", "test")
    with pytest.raises(
        BuildError,
        match=r"'NotAClusterer' is registered as clusterer but .* does not inherit "
        r"toolbox.interfaces.Clusterer",
    ):
        build(dict(type="NotAClusterer"))


def test_nothing_is_imported_before_it_is_built() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from toolbox.registry import REGISTRIES; "
        "before = 'toolbox.models.biggan' in sys.modules; REGISTRIES['generator'].get('BigGANGenerator'); "
        "print(before, 'toolbox.models.biggan' in sys.modules, 'toolbox.data.cifar' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["False", "True", "False"]


def test_registries_by_interface() -> None:
    assert REGISTRIES["clusterer"].get("KMeans").__name__ == "HardKMeans"


def test_every_type_that_our_configs_name_exists() -> None:
    import mmengine.optim.scheduler  # noqa: F401 - the registry is filled by it
    from mmengine.registry import PARAM_SCHEDULERS

    from toolbox.config import load_config
    from toolbox_klish.runs import settings as clustering
    from toolbox_klish.ufgs import settings as segmenting

    readers = {"klish": clustering.read_config, "ufgs": segmenting.read_config}

    def types(value: object) -> set[str]:
        if isinstance(value, dict):
            own = {value["type"]} if isinstance(value.get("type"), str) else set()
            return own.union(*(types(item) for item in value.values()))
        return set().union(*(types(item) for item in value)) if isinstance(value, (list, tuple)) else set()

    for name, file in host().configs().items():
        config = readers.get(file.name.partition("_")[0], load_config)(file).to_dict()
        named = ("model", "evaluation", "before", "hooks", "generator", "clusterers", "truth")
        for kind in types({key: config[key] for key in named if key in config}):
            known = kind in host().catalog or hasattr(torch.optim, kind) or kind in PARAM_SCHEDULERS
            assert known, (name, kind)


class WithoutBase(Generator):
    def __init__(self, layer: bool) -> None:
        self.size = 8
        if layer:
            self.linear = torch.nn.Linear(1, 1)

    def forward(self, latents: torch.Tensor, condition: Condition | None = None) -> torch.Tensor:
        return latents


class SetWithoutBase(ImageSet):
    def __init__(self) -> None:
        self.size = 8

    def image(self, i: int) -> np.ndarray:
        return np.zeros((8, 8, 3), np.uint8)

    def fingerprint(self) -> str:
        return ""


@pytest.mark.parametrize("layer", [True, False])
def test_a_constructor_that_leaves_out_its_base(layer: bool) -> None:
    """Found when it is built, even where torch would say it only at the first use."""
    message = r"cannot build .*WithoutBase.*; WithoutBase\.__init__ does not call super\(\)\.__init__\(\)"
    with pytest.raises(BuildError, match=message):
        build(dict(type=WithoutBase, layer=layer))


def test_a_data_set_that_leaves_out_its_base() -> None:
    """Whoever looks at it first is told what is missing; what no data set has stays unknown."""
    message = (
        r"SetWithoutBase.*no attribute 'labels'; its __init__ must call super\(\)\.__init__\(labels, classes"
    )
    with pytest.raises(BuildError, match=message):
        build(dict(type="Stream", source=dict(type=SetWithoutBase)))
    assert not hasattr(SetWithoutBase(), "nothing")
