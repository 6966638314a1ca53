"""Building components from configs: mmengine registries whose shelves are filled by the catalog, on demand.

One typed, parentless registry per interface (mmengine allows a root only one child a scope), and one child
each of mmengine's own roots, so that its Runner finds our hooks, loops and data sets under
``default_scope='toolbox'``.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from mmengine import registry as roots
from mmengine.registry import Registry

from toolbox.catalog import KINDS, CatalogError, near_miss
from toolbox.plugins import host

Config = Mapping[str, Any]  #: a component in a config: ``dict(type='Name', **arguments)``

_ROOTS = {
    "model": "MODELS",
    "dataset": "DATASETS",
    "data_sampler": "DATA_SAMPLERS",
    "transform": "TRANSFORMS",
    "hook": "HOOKS",
    "loop": "LOOPS",
    "optim_wrapper": "OPTIM_WRAPPERS",
    "optim_constructor": "OPTIM_WRAPPER_CONSTRUCTORS",
}


class CatalogRegistry(Registry):
    """A registry that imports a component, and checks its interface, when its name is first asked for."""

    def __init__(self, kind: str, parent: Registry | None = None) -> None:
        build_func = parent.build_func if parent is not None else None
        super().__init__(kind, build_func=build_func, parent=parent, scope="toolbox")
        self.kind = kind

    def get(self, key: str) -> type | None:
        name = key.removeprefix("toolbox.")
        if name not in self._module_dict and name in host().catalog:
            entry = host().catalog.find(name)
            if entry.kind == self.kind:
                self._module_dict[name] = entry.load()
        if self.parent is None and name not in self._module_dict and "." not in name:
            host().catalog.find(name, self.kind)  # raises, with the near miss
        return super().get(key)


def _empty_child(name: str) -> Registry:
    root = getattr(roots, name)
    return Registry(f"toolbox {name.lower()}", build_func=root.build_func, parent=root, scope="toolbox")


REGISTRIES: dict[str, CatalogRegistry] = {
    kind: CatalogRegistry(kind, getattr(roots, _ROOTS[kind]) if kind in _ROOTS else None) for kind in KINDS
}

# mmengine warns when a scope is missing from a root that it searches
_ROOTS_WITHOUT_OURS = """
    OPTIMIZERS PARAM_SCHEDULERS VISUALIZERS VISBACKENDS LOG_PROCESSORS EVALUATOR RUNNERS MODEL_WRAPPERS
    WEIGHT_INITIALIZERS METRICS FUNCTIONS TASK_UTILS INFERENCERS STRATEGIES RUNNER_CONSTRUCTORS
"""
_EMPTY = [_empty_child(name) for name in _ROOTS_WITHOUT_OURS.split()]


#: Kinds that are filled from ``weights=`` where their constructor has no such argument.
_FILLED = ("generator", "discriminator", "network", "segmenter", "extractor")


class BuildError(Exception):
    """A component that could not be built; the message says which, where in the config, and why."""


def build(config: Any, kind: str | None = None, where: str = "", **extra: Any) -> Any:
    """Build what a config ``dict(type='Name', ...)`` describes; anything but a dict is returned as it is.

    A network is filled from ``weights`` (:func:`toolbox.training.pretrained.load_network_weights`); without a
    ``type`` its architecture is the file's too.

    Args:
        config: the dict, or an object already built.
        kind: the kind that is needed here, checked; None = any.
        where: path of the config key, for the error message.
        **extra: arguments that only the caller knows; the config may not name them too.

    Raises:
        BuildError: for an unknown name (with the near miss), an unknown argument, or whatever the constructor
            raised.
    """
    if isinstance(config, (str, bool, int, float)) and kind is not None:
        raise BuildError(f"{where or kind}: {config!r} must be dict(type=...), which describes a {kind}")
    if not isinstance(config, Mapping):
        return config
    if "type" not in config and "weights" in config:
        config = _described(config, kind, where)
    component = check(config, kind, where)
    place = f"{where}: " if where else ""
    arguments = dict(config)
    name = arguments.pop("type")
    both = set(arguments) & set(extra)
    if both:
        raise BuildError(f"{place}{name}: {sorted(both)} is filled in by the toolbox and may not be set here")
    try:
        if arguments.get("weights") is None:
            return _begun(component(**arguments, **extra))
        return _with_weights(component, str(name), {**arguments, **extra})
    except BuildError as error:
        if str(error).split(".")[0] == where.split(".")[0]:
            raise  # it says where, from the top
        raise BuildError(f"{place}{error}") from error
    except Exception as error:
        forgotten = isinstance(error, AttributeError) and _skips_super(component)
        hint = f"; {component.__name__}.__init__ does not call super().__init__()" if forgotten else ""
        raise BuildError(f"{place}cannot build {name}: {type(error).__name__}: {error}{hint}") from error


def _begun(made: Any) -> Any:
    """What was made, unless it is a torch module whose constructor left out its base's: that fails later."""
    if (
        "torch" in sys.modules
        and isinstance(made, sys.modules["torch"].nn.Module)
        and "_modules" not in vars(made)
    ):
        raise AttributeError("it is a torch.nn.Module without modules, parameters and buffers")
    return made


def _skips_super(component: Any) -> bool:
    """Whether a class has a constructor of its own that calls no other."""
    own = vars(component).get("__init__") if isinstance(component, type) else None
    code = getattr(own, "__code__", None)
    return code is not None and "__init__" not in code.co_names


def _with_weights(component: Any, name: str, arguments: dict[str, Any]) -> Any:
    if not is_filled(component, name):
        arguments["weights"] = _pretrained().local_weights(arguments["weights"])
        return component(**arguments)
    weights = arguments.pop("weights")
    network = component(**arguments)
    _pretrained().load_network_weights(network, weights, host().catalog.find(name).kind)
    return network


def _described(config: Config, kind: str | None, where: str) -> Config:
    """The config with the ``type`` and arguments of the network that its ``weights`` hold."""
    role = kind or "generator"
    if role not in ("generator", "discriminator"):
        return config
    try:
        found = _pretrained().described(config["weights"], role, role)
    except Exception as error:  # of readers of many formats
        raise BuildError(f"{where or role}: {error}") from error
    return {**found, **config}


def is_filled(component: Any, name: Any) -> bool:
    """Whether a component's ``weights`` are loaded into it; others have an argument of that name, or none."""
    known = accepted(component)
    if known is None or "weights" in known or not isinstance(name, str) or name not in host().catalog:
        return False
    return host().catalog.find(name).kind in _FILLED


def _pretrained() -> Any:
    """Who reads weights; imported by name, since it lies above this module and builds with it."""
    return importlib.import_module("toolbox.training.pretrained")


def check(config: Mapping[str, Any], kind: str | None = None, where: str = "") -> Any:
    """The class that a config names, its arguments looked up but not built (see :func:`build`).

    Raises:
        BuildError: for a config without a type, an unknown name, an unknown argument.
    """
    place = f"{where}: " if where else ""
    if "type" not in config:
        slips = [key for key in config if near_miss(str(key), ["type"])]
        hint = f"; {slips[0]!r} - did you mean 'type'?" if slips else ""
        raise BuildError(f"{place}a component needs a 'type', got only {sorted(config)}{hint}")
    component = _component(config["type"], kind, place)
    _check_arguments(component, config["type"], [key for key in config if key != "type"], place)
    return component


def _component(name: Any, kind: str | None, place: str) -> Any:
    if not isinstance(name, str):
        if not callable(name):
            raise BuildError(f"{place}type={name!r} must be the name of a component")
        return name
    try:
        entry = host().catalog.find(name, kind)
        found = REGISTRIES[entry.kind].get(name)
    except (CatalogError, TypeError) as error:
        if "." in name and isinstance(error, CatalogError):
            return _dotted(name, place)
        raise BuildError(f"{place}{error}") from error
    return found


def _dotted(name: str, place: str) -> Any:
    """``type='torch.nn.Linear'``: any importable class."""
    from mmengine.utils import get_object_from_string

    found = get_object_from_string(name)
    if found is None:
        raise BuildError(f"{place}cannot import {name!r}")
    return found


def accepted(component: Any) -> dict[str, inspect.Parameter] | None:
    """Arguments by name, with those of base classes that a constructor passes ``**kwargs`` on to.

    None for a function with ``**kwargs``: it takes anything.
    """
    if not isinstance(component, type):
        parameters = dict(inspect.signature(component).parameters)
        return None if any(p.kind is p.VAR_KEYWORD for p in parameters.values()) else parameters
    found: dict[str, inspect.Parameter] = {}
    for base in component.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        own = list(inspect.signature(base.__init__).parameters.values())[1:]  # type: ignore[misc]
        with_a_name = {p.name: p for p in own if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}
        found = {**with_a_name, **found}  # a subclass's own come first
        if not any(p.kind is p.VAR_KEYWORD for p in own):
            break
    return found


def _check_arguments(component: Any, name: str, arguments: Iterable[str], place: str) -> None:
    known = accepted(component)
    for key in arguments:
        if known is not None and key not in known and not (key == "weights" and is_filled(component, name)):
            hint = near_miss(key, [*known, "type"])
            raise BuildError(f"{place}{name} has no argument {key!r}{hint}; it has: {', '.join(known)}")
