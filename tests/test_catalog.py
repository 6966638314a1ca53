"""What is on the shelves, and the errors of what is not."""

from __future__ import annotations

import pytest

from toolbox.catalog import Catalog, CatalogError, near_miss
from toolbox.plugins import PluginHost


@pytest.fixture
def catalog() -> Catalog:
    shelves = Catalog()
    shelves.add("network", "Linear", "torch.nn:Linear", "one")
    shelves.add("generator", "Painter", "nowhere:Painter", "one")
    return shelves


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (("netwrok", "A", "a:A"), "kind 'netwrok' of 'A' is unknown - did you mean 'network'"),
        (("network", "lcp.A", "a:A"), "'lcp.A' must be an identifier without dots"),
        (("network", "two words", "a:A"), "must be an identifier"),
        (("network", "A", "a.A"), "address 'a.A' of 'A' must read 'module:Class'"),
        (
            ("network", "Linear", "other:Linear"),
            r"name 'Linear' is taken by torch.nn:Linear \(network, plugin 'one'\); plugin 'two' must choose",
        ),
    ],
)
def test_what_may_not_be_added(catalog: Catalog, entry: tuple[str, str, str], message: str) -> None:
    with pytest.raises(CatalogError, match=message):
        catalog.add(*entry, "two")


def test_an_unknown_name_lists_near_misses(catalog: Catalog) -> None:
    with pytest.raises(CatalogError, match="no component is called 'linaer' - did you mean 'Linear'"):
        catalog.find("linaer")
    with pytest.raises(CatalogError, match="no network is called 'XYZ'; there are: Linear"):
        catalog.find("XYZ", "network")


def test_a_name_of_another_kind(catalog: Catalog) -> None:
    with pytest.raises(
        CatalogError, match="'Linear' is a network, a generator is needed here; there are: Painter"
    ):
        catalog.find("Linear", "generator")


def test_an_unknown_name_says_which_plugins_did_not_load() -> None:
    shelves = Catalog(lambda: {"klish": "disabled: switched off by TOOLBOX_DISABLE_PLUGINS"})
    with pytest.raises(
        CatalogError, match=r"no clusterer is called 'KLiSH'.*; plugin klish is disabled: switched"
    ):
        shelves.find("KLiSH", "clusterer")


def test_a_component_of_a_disabled_plugin() -> None:
    own = PluginHost(disabled=["lcp"])
    own.load_installed()
    with pytest.raises(
        CatalogError, match=r"plugin lcp is disabled.*'toolbox plugins' lists what is installed"
    ):
        own.catalog.find("SoftKMeans")


def test_entries_are_loaded_and_checked(catalog: Catalog) -> None:
    assert catalog.find("Linear").load().__name__ == "Linear"
    with pytest.raises(CatalogError, match="generator 'Painter' of plugin 'one': cannot import 'nowhere'"):
        catalog.find("Painter").load()
    catalog.add("generator", "Wrong", "torch.nn:Linear", "one")
    with pytest.raises(
        TypeError,
        match=r"'Wrong' is registered as generator but .* does not inherit toolbox.interfaces.Generator",
    ):
        catalog.find("Wrong").load()
    catalog.add("generator", "Bare", "toolbox.interfaces:Generator", "one")
    with pytest.raises(TypeError, match=r"'Bare' \(generator\) does not implement: forward"):
        catalog.find("Bare").load()
    catalog.add("network", "Typo", "torch.nn:Linaer", "one")
    with pytest.raises(CatalogError, match=r"module 'torch.nn' has no 'Linaer' - did you mean 'Linear'"):
        catalog.find("Typo").load()


def test_a_plugin_is_taken_off_whole(catalog: Catalog) -> None:
    catalog.remove_plugin("one")
    assert catalog.entries() == [] and "Linear" not in catalog


def test_near_misses_ignore_case() -> None:
    assert near_miss("biggangenerator", ["BigGANGenerator"]) == " - did you mean 'BigGANGenerator'?"
    assert near_miss("xyz", ["abc"]) == ""


def test_every_component_of_this_checkout_fits_its_interface() -> None:
    fresh = PluginHost()
    fresh.load_installed()
    assert fresh.check() == []
