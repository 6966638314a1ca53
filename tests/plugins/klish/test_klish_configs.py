"""Every clustering config: it loads in full and small, its layers are those of table II, slips are found."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from toolbox.cli.main import main
from toolbox.config import ConfigError, load_config
from toolbox.features import default_layers, feature_stream
from toolbox.registry import build
from toolbox_klish.runs.fitting import planned
from toolbox_klish.runs.settings import KEYS, numbers_of, read_config

FOLDER = Path(__file__).parents[3] / "configs"
CONFIGS = sorted(FOLDER.glob("klish_*.py"))

#: Rows of table II: what the published files hold, and the width D that the table prints.
PUBLISHED: dict[str, tuple[str, int, int]] = {
    "stylegan2_ffhq": ("StyleGAN2Generator", 1024, 992),
    "stylegan2_bedroom": ("StyleGAN2Generator", 256, 896),
    "stylegan2_church": ("StyleGAN2Generator", 256, 896),
    "stylegan2_car": ("StyleGAN2Generator", 512, 960),
    "pggan_celebahq": ("PGGANGenerator", 1024, 496),
    "pggan_bedroom": ("PGGANGenerator", 256, 960),
    "pggan_church": ("PGGANGenerator", 256, 960),
    "stylegan_celebahq": ("StyleGANGenerator", 1024, 496),
    "stylegan_bedroom": ("StyleGANGenerator", 256, 960),
    "stylegan_church": ("StyleGANGenerator", 256, 960),
    "ada_cat": ("StyleGAN2Generator", 512, 960),
    "ada_dog": ("StyleGAN2Generator", 512, 960),
    "ada_wild": ("StyleGAN2Generator", 512, 960),
    "ada_metface": ("StyleGAN2Generator", 1024, 992),
}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_full_and_quick(path: Path, tmp_path: Path) -> None:
    """Every clusterer builds for every number of clusters; the small version needs no file."""
    full = read_config(path)
    quick = read_config(path, quick=True)
    assert path.read_text().startswith('"""KLiSH') and full.title
    assert {"klish", "kmeans", "kasp", "ahc_ward", "ahc_arccos"} <= set(full.clusterers)
    assert full.seeds[0] in range(1990, 1995) and len(full.seeds) == 5
    assert max(numbers_of(full)) <= full.clusterers.klish.clusters
    run = planned(quick, tmp_path / "run")
    stream = run.stream()
    assert "type" in run.config.generator and stream.rows >= 10_000 and not (tmp_path / "run").exists()


def published(kind: str, image_size: int, **narrow: int) -> Any:
    with torch.device("meta"):
        return build(dict(type=kind, image_size=image_size, **narrow))


@pytest.mark.parametrize("name", PUBLISHED)
def test_layers_of_table_ii(name: str) -> None:
    """Numbers fit the generator, at tiny width too; they are what the rule finds, as wide as in the table."""
    kind, size, width = PUBLISHED[name]
    features = read_config(FOLDER / f"klish_{name}.py").features
    network = published(kind, size, channel_base=32768 if kind == "StyleGAN2Generator" else 16384)
    stream = feature_stream(network, 1, features.layers)
    assert stream.width == width and stream.layers == default_layers(network)
    tiny = published(kind, size, channel_base=size, channel_max=4)
    assert feature_stream(tiny, 1, features.layers).layers == stream.layers


def test_every_published_row_has_a_config() -> None:
    assert {path.stem.removeprefix("klish_") for path in CONFIGS} == {
        *PUBLISHED,
        *("biggan", "embedded", "embedded_place"),
    }


def test_train_names_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    """And the other way round."""
    assert main(["train", str(CONFIGS[0])]) == 1
    assert capsys.readouterr().err == (
        f"error: config '{CONFIGS[0]}' is not for 'toolbox train': it is read by `toolbox klish fit "
        f"{CONFIGS[0]}`\n"
    )
    assert main(["klish", "fit", str(FOLDER / "biggan_cifar.py")]) == 1
    assert "is read by `toolbox train" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"generater": 1}, r"unknown top-level key 'generater' - did you mean 'generator'"),
        ({"features.image": 8}, r"features: unknown key 'image' - did you mean 'images'"),
        (
            {"features.dtype": "flaot16"},
            r"features.dtype='flaot16' is not one of .* - did you mean 'float16'",
        ),
        ({"generator.wieghts": "x.pkl"}, r"generator: EmbeddedStyleGAN2 has no argument 'wieghts'"),
        (
            {"generator.type": "EmbeddedStyleGAN"},
            r"no generator is called 'EmbeddedStyleGAN' - did you mean 'EmbeddedStyleGAN2'",
        ),
        (
            {"generator.pretrainde": True},
            r"generator: EmbeddedStyleGAN2 has no argument 'pretrainde' - did you mean 'pretrained'",
        ),
        (
            {"clusterers.klish.cluster": 9},
            r"clusterers.klish: KLiSH has no argument 'cluster' - did you mean 'clusters'",
        ),
        ({"clusterers.klish.type": "KLISH"}, r"no clusterer is called 'KLISH' - did you mean 'KLiSH'"),
        ({"clusterers.klish": 5}, r"clusterers.klish=5 must be dict\(type=...\)"),
        ({"clusterers.klish.seed": 5}, r"clusterers.klish: seed=5 may not be set here"),
        ({"clusterers.klish.clusters": 10}, r"it starts from 10 clusters, shown and final ask for 20"),
        (
            {"clusterers.klish.clusters": "x"},
            r"clusterers.klish.clusters='x': KLiSH expects a whole number, not a str",
        ),
        (
            {"clusterers.klish.clusters": None},
            r"clusterers.klish.clusters=None: KLiSH expects a whole number",
        ),
        (
            {"clusterers.kmeans.steps": "x"},
            r"clusterers.kmeans.steps='x': LloydKMeans expects a whole number",
        ),
        ({"clusterers": [1]}, r"clusterers=\[1\] must be a dict: \{name: component\}"),
        ({"features": 3}, r"features=3 must be a dict"),
        ({"features.truncation": "half"}, r"features.truncation='half' must be a number, not a str"),
        ({"features.images": True}, r"features.images=True must be a whole number"),
        ({"features.seed": -1}, r"features.seed: -1 must lie in 0..4294967295"),
        ({"final": 0}, r"final=0 must be a whole number of at least 1"),
        ({"shown": []}, r"shown=\[\] must be a list of whole numbers"),
        ({"shown": 5}, r"shown=5 must be a list of whole numbers of at least 1"),
        ({"seeds": [1, 1]}, r"seeds=\[1, 1\] name one twice"),
        ({"seeds": [-1]}, r"seeds=\[-1\] must be a list of whole numbers of at least 0"),
        ({"seeds": [10**20]}, r"seeds: 10+ must lie in 0..4294967295"),
        ({"truth": 3}, r"truth=3 must be dict\(type=...\)"),
        (
            {"truth.type": "EmbeddedSegmenter2"},
            r"truth: no segmenter is called .* - did you mean 'EmbeddedSegmenter'",
        ),
        ({"pictures.sample": 3}, r"pictures: unknown key 'sample' - did you mean 'samples'"),
        ({"pictures": 3}, r"pictures=3 must be a dict"),
        ({"pictures.seed": "x"}, r"pictures.seed='x' must be a whole number"),
        (
            {"pictures.seed": 1990},
            r"pictures.seed=1990: the images of this seed are clustered.*none of \[1990, 1991",
        ),
        ({"warn_iou": "low"}, r"warn_iou='low' must be a number"),
        ({"device": 3}, r"device=3 must be a string or None"),
        ({"command": "train"}, r"is read by `toolbox train"),
    ],
)
def test_slips(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_config(FOLDER / "klish_embedded.py", options=options)


def test_a_device_that_is_not_there(tmp_path: Path) -> None:
    config = read_config(FOLDER / "klish_embedded.py", quick=True, options={"device": "cud"})
    with pytest.raises(ValueError, match="device='cud' cannot be used here: Expected one of cpu"):
        planned(config, tmp_path)
    with pytest.raises(ValueError, match="device='cud' cannot be used here"):
        build(dict(type="KLiSH", clusters=2, device="cud")).fit(torch.rand(9, 2).numpy())


def test_a_generator_has_one_source(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    rest = "\nclusterers = dict(a=dict(type='KLiSH', clusters=3))\nfinal = 2\n"
    for source, words in (
        ("dict(wieghts='x')", "must have one of type, weights, run"),
        ("'x.pkl'", "must have one of"),
        ("dict(weights='x', channels=3)", "'channels' goes with type=, not with weights="),
        ("dict(weights=3)", "generator.weights=3 must be the path of a file or folder"),
    ):
        path.write_text(f"command = 'klish fit'\ngenerator = {source}{rest}")
        with pytest.raises(ConfigError, match=re.escape(words)):
            read_config(path)
    path.write_text(f"command = 'klish fit'{rest}")
    with pytest.raises(ConfigError, match="has no generator: dict"):
        read_config(path)


def test_keys_are_not_those_of_training() -> None:
    with pytest.raises(ConfigError, match="unknown top-level key 'features'"):
        load_config(FOLDER / "klish_embedded.py", command="klish fit")
    assert set(load_config(FOLDER / "klish_embedded.py", command="klish fit", keys=KEYS)) <= set(KEYS)
