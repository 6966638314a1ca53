"""The distributions say what they contain and what they need."""

from __future__ import annotations

import ast
import configparser
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from toolbox.plugins import host

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / "configs"
FOLDERS = [ROOT, *sorted(file.parent for file in ROOT.glob("plugins/*/setup.cfg"))]
DISTRIBUTION_OF = {
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "open_clip": "open-clip-torch",
    "mmcv": "mmcv-lite",
    "toolbox": "generative-toolbox",
}
OWN_EXTRA = {"tensorboard"}

each_distribution = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


def requirements(folder: Path, extras: bool = False) -> dict[str, Requirement]:
    config = configparser.ConfigParser()
    config.read(folder / "setup.cfg")
    lines = config["options"]["install_requires"].splitlines()
    if extras and config.has_section("options.extras_require"):
        lines += [line for extra in config["options.extras_require"].values() for line in extra.splitlines()]
    return {normalised(r.name): r for r in (Requirement(line) for line in lines if line.strip())}


def normalised(name: str) -> str:
    return name.lower().replace("_", "-")


def package_of(folder: Path) -> str:
    return "toolbox" if folder == ROOT else f"toolbox_{folder.name}"


def sources(folder: Path) -> list[Path]:
    return sorted((folder / package_of(folder)).rglob("*.py"))


def imported(file: Path) -> set[str]:
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {
        name.split(".")[0]
        for name in plain
        | {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    }


@each_distribution
def test_what_is_imported_is_required(folder: Path) -> None:
    names = set.union(*map(imported, sources(folder))) - {
        *sys.stdlib_module_names,
        *OWN_EXTRA,
        package_of(folder),
    }
    assert {normalised(DISTRIBUTION_OF.get(name, name)) for name in names} <= set(requirements(folder))


@each_distribution
def test_every_folder_of_modules_is_a_package(folder: Path) -> None:
    folders = {file.parent for file in sources(folder) if "templates" not in file.parts}
    assert [str(item) for item in sorted(folders) if not (item / "__init__.py").exists()] == []


@each_distribution
def test_every_requirement_is_pinned_within_its_range(folder: Path) -> None:
    lines = normalised((ROOT / "constraints.txt").read_text()).splitlines()
    pins = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    for name, requirement in requirements(folder, extras=True).items():
        if name != "generative-toolbox":
            assert requirement.specifier.contains(pins[name]), requirement


def package_data(folder: Path) -> list[str]:
    config = configparser.ConfigParser()
    config.read(folder / "setup.cfg")
    return config["options.package_data"][package_of(folder)].replace(",", "\n").split()


def configs_of(folder: Path) -> list[str]:
    """The files of configs/ that a distribution packs, such as '_base_/klish.py'."""
    root = folder / package_of(folder) / "configs"
    patterns = [line.removeprefix("configs/") for line in package_data(folder) if line.startswith("configs/")]
    return [file.relative_to(root).as_posix() for pattern in patterns for file in sorted(root.glob(pattern))]


@each_distribution
def test_every_pattern_of_package_data_matches_something(folder: Path) -> None:
    root = folder / package_of(folder)
    assert [pattern for pattern in package_data(folder) if not any(root.glob(pattern))] == []


def test_every_config_belongs_to_exactly_one_distribution() -> None:
    packed = sorted(name for folder in FOLDERS for name in configs_of(folder))
    assert packed == sorted(file.relative_to(CONFIGS).as_posix() for file in CONFIGS.rglob("*.py"))


@each_distribution
def test_configs_are_listed_by_their_own_package(folder: Path) -> None:
    name = package_of(folder).removeprefix("toolbox_")
    own = {f"{name}/{Path(file).stem}" for file in configs_of(folder) if "/" not in file}
    assert {key for key in host().configs() if key.startswith(f"{name}/")} == own


@each_distribution
def test_a_base_by_path_is_of_the_same_distribution(folder: Path) -> None:
    """The wheel holds no other; what is of another distribution is named as ``<plugin>/<config>``."""
    own = configs_of(folder)
    for file in own:
        for base in bases(CONFIGS / file):
            nearby = (CONFIGS / file).parent / base
            assert base in host().configs() or nearby.relative_to(CONFIGS).as_posix() in own, (
                f"{file}: {base}"
            )


def bases(config: Path) -> list[str]:
    for node in ast.parse(config.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_base_":
            value = ast.literal_eval(node.value)
            return [value] if isinstance(value, str) else list(value)
    return []
