"""What is installed from the wheels, far from a source tree: packed files, commands, a new plugin."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.training.killing import write_small_set

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {
    "toolbox": ROOT,
    "toolbox_ipl": ROOT / "plugins/ipl",
    "toolbox_klish": ROOT / "plugins/klish",
    "toolbox_lcp": ROOT / "plugins/lcp",
    "toolbox_scl": ROOT / "plugins/scl",
}
CONFIGS = {
    "toolbox": (
        *("attngan_*.py", "biggan_*.py", "clip_*.py", "damsm_*.py", "deeplab_*.py", "diffae_*.py"),
        *("dmgan_*.py", "galip_*.py", "judge_*.py", "pggan_*.py", "segmenter_*.py", "ssagan_*.py"),
        "stylegan*.py",
    ),
    "toolbox_ipl": ("ipl_*.py", "nada_*.py", "diffipl_*.py", "diffusionclip_*.py"),
    "toolbox_klish": ("klish_*.py", "lse_*.py", "ufgs_*.py", "uscs_*.py"),
    "toolbox_lcp": ("lcp_*.py",),
    "toolbox_scl": ("scl_*.py",),
}
BASES = {
    "toolbox": {
        *("attngan.py", "captions.py", "captions_coco.py", "captions_cub.py", "captions_emoji.py"),
        *("cifar10.py", "damsm.py", "damsm_stage.py", "damsm_stage_emoji.py", "dmgan.py", "galip.py"),
        *("runtime.py", "ssagan.py", "stylegan2_folder.py"),
    },
    "toolbox_ipl": {
        *("diffipl.py", "ipl.py", "ipl_dog.py", "ipl_ffhq.py", "nada_dog.py", "nada_ffhq.py"),
    },
    "toolbox_klish": {
        *("klish.py", "lse.py", "lse_faces.py", "lse_scenes.py", "ufgs.py", "uscs.py", "uscs_pairs.py"),
    },
    "toolbox_lcp": set(),
    "toolbox_scl": {"scl.py"},
}
#: What a plugin puts into a page that it writes.
PAGES = {"toolbox_ipl": {"toolbox_ipl/study/study.css", "toolbox_ipl/study/study.js"}}
DATA = ("data/embedded", "models/embedded", "cli/templates")

LOAD_EVERYTHING = """
import toolbox
from toolbox.config import load_config
from toolbox.plugins import host
from toolbox.training.explain.iteration import explain
from toolbox_klish.runs.settings import KEYS
from toolbox_klish.ufgs.settings import KEYS as UFGS_KEYS

print(toolbox.__file__)
for number, (name, file) in enumerate(host().configs().items()):
    own = dict(command='klish fit', keys=KEYS) if name.startswith('klish/klish_') else {}
    own = dict(command='klish segment', keys=UFGS_KEYS) if name.startswith('klish/ufgs_') else own
    assert number % {step} or load_config(name, **own).filename == str(file)
    print(name)
assert 'minimise' in explain(load_config('lcp/lcp_cifar'))
"""


class Installed:
    """An environment with the wheels of this source tree and the libraries of the one that tests it."""

    def __init__(self, folder: Path, wheels: list[Path]) -> None:
        venv.create(folder / "venv", with_pip=False)
        self.programs = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
        self.empty = folder / "empty"
        self.empty.mkdir()
        pip = [sys.executable, "-m", "pip", "--python", str(self.programs / "python")]
        run(
            [*pip, "install", "--quiet", "--no-deps", "--no-index", "--no-compile", *map(str, wheels)], folder
        )
        self.packages = Path(self.python("import sysconfig; print(sysconfig.get_path('purelib'))").strip())
        # A folder that a .pth file names is searched, but its own .pth files are not read: those of editable
        # installs would lead back to the source tree.
        libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
        (self.packages / "libraries.pth").write_text("\n".join(libraries))

    def toolbox(self, *arguments: str) -> str:
        """Output of the environment's own console script, run in an empty folder."""
        return run([str(self.programs / "toolbox"), *arguments], self.empty)

    def python(self, *code: str) -> str:
        """Output of a line of code, or of ``-m MODULE ARGUMENTS``."""
        arguments = code if len(code) > 1 else ("-c", *code)
        return run([str(self.programs / "python"), *arguments], self.empty)


def run(command: list[str], cwd: Path) -> str:
    """Standard output of a command that knows nothing of the source tree."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    quiet = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "MPLBACKEND": "agg", "COLUMNS": "200"}
    answer = subprocess.run(command, cwd=cwd, env={**own, **quiet}, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def source_files() -> list[str]:
    """What git tracks; in a tree without git, all files of the distributions but what Python leaves there."""
    if (ROOT / ".git").exists() and shutil.which("git") is not None:
        return subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT, text=True).split("\0")[:-1]
    parts = [
        *ROOT.glob("*"),
        *(file for name in ("toolbox", "plugins", "configs") for file in ROOT.glob(f"{name}/**/*")),
    ]
    files = [file for file in parts if file.is_file() or file.is_symlink()]
    return [
        str(f.relative_to(ROOT)) for f in files if "__pycache__" not in f.parts and ".egg-info" not in str(f)
    ]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """{package: wheel}, built from a copy, so that nothing is left in the source tree."""
    folder = tmp_path_factory.mktemp("wheels")
    for name in source_files():
        copy = folder / "source" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, copy, follow_symlinks=False)
    sources = [str(folder / "source" / item.relative_to(ROOT)) for item in FOLDERS.values()]
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    run([*pip, "--wheel-dir", str(folder), *sources], folder)
    names = {"toolbox": "generative_toolbox"}
    return {package: next(folder.glob(f"{names.get(package, package)}-*.whl")) for package in FOLDERS}


@pytest.fixture(scope="module")
def installed(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return Installed(tmp_path_factory.mktemp("installed"), list(wheels.values()))


def packed(wheel: Path) -> set[str]:
    """The files of a wheel, without its metadata."""
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_each_wheel_holds_its_own_configs_and_no_others(wheels: dict[str, Path]) -> None:
    for package, wheel in wheels.items():
        own = {file.name for pattern in CONFIGS[package] for file in (ROOT / "configs").glob(pattern)}
        expected = {
            f"{package}/configs/{name}" for name in own | {f"_base_/{name}" for name in BASES[package]}
        }
        assert {name for name in packed(wheel) if "/configs/" in name} == expected


def test_the_core_alone_holds_data(wheels: dict[str, Path]) -> None:
    folders = [ROOT / "toolbox" / folder for folder in DATA]
    data = {str(file.relative_to(ROOT)) for folder in folders for file in folder.iterdir() if file.is_file()}
    other = {name for name in packed(wheels["toolbox"]) if not name.endswith(".py")}
    assert other == {*data, "toolbox/py.typed", "toolbox/visual/report.css"}
    for package in ("toolbox_ipl", "toolbox_klish", "toolbox_lcp", "toolbox_scl"):
        names = packed(wheels[package])
        assert all(name.startswith(f"{package}/") for name in names)
        assert {name for name in names if not name.endswith(".py")} == PAGES.get(package, set())


def test_every_module_is_packed(wheels: dict[str, Path]) -> None:
    for package, folder in FOLDERS.items():
        modules = {file.relative_to(folder).as_posix() for file in (folder / package).rglob("*.py")}
        python = {name for name in packed(wheels[package]) if name.endswith(".py")}
        assert {name for name in python if "/configs/" not in name} == {
            name for name in modules if "/configs/" not in name
        }


@pytest.mark.parametrize("step", [8, pytest.param(1, marks=pytest.mark.slow)])
def test_every_config_is_listed_and_loads(installed: Installed, step: int) -> None:
    """With all its bases (every 8th is tried by default), and one is explained; nothing comes from the source
    tree.
    """
    file, *loaded = installed.python(LOAD_EVERYTHING.replace("{step}", str(step))).split()
    assert Path(file).is_relative_to(installed.packages) and not ROOT.is_relative_to(installed.packages)
    expected = {
        f"{package.removeprefix('toolbox_')}/{file.stem}"
        for package, patterns in CONFIGS.items()
        for pattern in patterns
        for file in (ROOT / "configs").glob(pattern)
    }
    assert set(loaded) == expected
    assert {line.split()[0] for line in installed.toolbox("configs").splitlines()} == expected


def test_it_trains(installed: Installed, tmp_path: Path) -> None:
    small = {
        "train_cfg.max_iters": "2",
        "train_dataloader.batch_size": "16",
        "train_dataloader.dataset.source.type": "ImageFolder",
        "train_dataloader.dataset.source.root": str(write_small_set(tmp_path / "images")),
        "train_dataloader.dataset.split.labelled_per_class": "12",
        "before.classifier.train_cfg.max_iters": "2",
        "before.classifier.train_dataloader.batch_size": "16",
    }
    options = [f"{key}={value}" for key, value in small.items()]
    installed.toolbox("train", "lcp/lcp_cifar", "--quick", "--no-evaluation", "--cfg-options", *options)
    assert (installed.empty / "runs/lcp_cifar-quick/iter_2.pth").is_file()
    assert (installed.empty / "runs/lcp_cifar-quick/report.html").is_file()


@pytest.mark.slow
def test_it_clusters(installed: Installed) -> None:
    others = [f"clusterers.{name}=None" for name in ("kmeans", "kasp", "ahc_ward", "ahc_arccos")]
    small = ["features.images=2", "features.size=16", "truth=None"]
    installed.toolbox("klish", "fit", "klish/klish_embedded", "--quick", "--cfg-options", *others, *small)
    assert (installed.empty / "runs/klish_embedded-quick/report.html").is_file()


@pytest.mark.slow
def test_a_new_plugin_passes_its_own_tests(installed: Installed) -> None:
    assert str(installed.empty / "mine") in installed.toolbox("new-plugin", "mine")
    assert "4 passed" in installed.python("-m", "pytest", "-q", "-p", "no:cacheprovider", "mine")
