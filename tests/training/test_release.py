"""Releases of trained runs: two files that sample what the run samples, and that no card can turn
into code.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from toolbox.loading import export, load_generator, load_run
from toolbox.plugins import host
from toolbox.training.checkpoints import CheckpointError
from toolbox.training.game.networks import build_networks
from toolbox.weights.card import card_path, file_sha256, read_with_card
from toolbox.weights.errors import WeightsError


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the one run of this module lies."""
    return tmp_path_factory.mktemp("release") / "kept"


@pytest.fixture
def released(request: pytest.FixtureRequest, kept: Path, tmp_path: Path) -> tuple[Path, Path]:
    """(run's folder, release file) of a small run with an averaged generator; trained once, copied for each
    test.
    """
    if not kept.exists():
        run = request.getfixturevalue("trained")("run")
        lines = [
            dict(metric="fid[toy,10]", value=value, iteration=n)
            for value, n in ((9.0, 5), (1.5, 5), (2.0, 3))
        ]
        (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        export(run, run / "toy.safetensors", licence="CC0")
        shutil.copytree(run, kept)
    host().load_file(str(Path(__file__).with_name("toy_games.py")))
    (tmp_path / "out").mkdir()
    run = Path(shutil.copytree(kept, tmp_path / "copy"))
    for name in ("toy.safetensors", "toy.json"):
        shutil.move(run / name, tmp_path / "out")
    return run, tmp_path / "out" / "toy.safetensors"


def change_card(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Edit a card in place."""
    card = json.loads(card_path(path).read_text())
    change(card)
    card_path(path).write_text(json.dumps(card))


def test_a_release_samples_what_the_run_samples(released: tuple[Path, Path]) -> None:
    """The averaged generator and the conditioner, without the run's folder."""
    run, path = released
    mine, theirs = load_run(path, seed=3), load_run(run, seed=3)
    a, b = mine(torch.arange(6)), theirs(torch.arange(6))
    assert torch.equal(a.images, b.images) and torch.equal(a.condition.labels, b.condition.labels)
    assert mine.class_names == theirs.class_names and int(mine.game.iteration) == 5
    assert torch.equal(load_generator(path).linear.weight, load_generator(run).linear.weight)
    assert all(name.startswith(("networks.generator.", "conditioner.")) for name in read_with_card(path)[0])


def test_the_card_says_what_it_is(released: tuple[Path, Path]) -> None:
    """Config, metrics of these weights, data, licence, versions, digest."""
    _, path = released
    card = json.loads(card_path(path).read_text())
    assert (
        card["licence"] == "CC0" and card["sha256"] == file_sha256(path) and card["averaged"] == ["generator"]
    )
    assert [(m["metric"], m["value"]) for m in card["metrics"]] == [("fid[toy,10]", 1.5)]
    assert card["data"]["fingerprint"] and "Fashion" in card["data"]["title"]
    assert (
        card["config"]["model"]["networks"]["generator"]["latent_dim"] == 4
        and "torch" in card["created_with"]
    )
    assert "work_dir" not in card["config"]


def test_a_network_can_start_from_a_release(released: tuple[Path, Path]) -> None:
    """``weights=`` of another config."""
    run, path = released
    config = dict(
        type="ToyGenerator", latent_dim=4, image_size=8, n_conditions=10, norm=True, weights=str(path)
    )
    networks, _ = build_networks({"generator": config}, {"generator": ["generator"]}, seed=0)
    assert torch.equal(networks["generator"].linear.weight, load_generator(run).linear.weight)


def test_altered_tensors_are_refused(released: tuple[Path, Path]) -> None:
    """By the digest; and by names and shapes where the card was made to fit."""
    _, path = released
    tensors, _ = read_with_card(path)
    tensors["networks.generator.linear.bias"] = torch.zeros(3)
    tensors["surprise"] = tensors.pop("networks.generator.linear.weight")
    save_file(tensors, path)
    with pytest.raises(WeightsError, match=r"is not the file that its card toy\.json describes"):
        load_run(path)
    change_card(path, lambda card: card.update(sha256=file_sha256(path)))
    with pytest.raises(
        CheckpointError,
        match=r"missing in the file \(1\): networks\.generator\.linear\.weight; not in the model "
        r"\(1\): surprise; other shapes \(1\): networks\.generator\.linear\.bias",
    ):
        load_run(path)


@pytest.mark.parametrize("kind", ["os.system", "builtins.exec", "torch.load", "subprocess:Popen", 3])
@pytest.mark.parametrize("place", ["networks", "conditioner", "deep"])
def test_a_card_cannot_name_code(released: tuple[Path, Path], kind: Any, place: str, tmp_path: Path) -> None:
    """A dotted ``type`` builds anything importable in a config of one's own; a card comes from outside."""
    _, path = released
    evil = dict(type=kind, command=f"touch {tmp_path / 'ran'}")

    def change(card: dict[str, Any]) -> None:
        model = card["config"]["model"]
        if place == "networks":
            model["networks"]["generator"] = evil
        elif place == "conditioner":
            model["conditioner"] = evil
        else:
            model["networks"]["generator"]["latent_dim"] = [dict(x=evil)]

    change_card(path, change)
    with pytest.raises(CheckpointError, match="a release may name registered components only"):
        load_run(path)
    assert not (tmp_path / "ran").exists()


def test_plugins_of_a_card_are_not_loaded(released: tuple[Path, Path], tmp_path: Path) -> None:
    """``plugins=[file]`` runs a file: the user says which, not the card."""
    _, path = released
    (tmp_path / "evil_part.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    change_card(path, lambda card: card["config"].update(plugins=[str(tmp_path / "evil_part.py")]))
    load_run(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.pop("config"),
        lambda card: card.update(networks=3),
        lambda card: card["config"].update(model=[]),
        lambda card: card.update(iteration="x"),
        lambda card: card["config"]["model"].update(networks={}),
        lambda card: card.update(networks=["nobody"]),
    ],
)
def test_malformed_cards(released: tuple[Path, Path], change: Any) -> None:
    """An error of ours that names the file or what is missing."""
    _, path = released
    change_card(path, change)
    with pytest.raises(Exception, match=r"card|describes no network|names the network") as error:
        load_run(path)
    assert type(error.value).__module__.startswith("toolbox")


def test_the_command(released: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`toolbox release RUN -o FILE`, and sampling from it."""
    from toolbox.cli.main import main

    run, path = released
    capsys.readouterr()
    out = tmp_path / "again.safetensors"
    assert main(["release", str(run), "-o", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}\n{card_path(out)}\n"
    assert main(["release", str(run), "-o", str(out)]) == 1
    assert "--force" in capsys.readouterr().err
    assert main(["sample", str(path), "--columns", "2", "-o", str(tmp_path / "x.png")]) == 0
    assert (tmp_path / "x.png").is_file()


def test_a_card_that_cannot_be_read_is_named_and_a_missing_one_too(released: tuple[Path, Path]) -> None:
    _, file = released
    card_path(file).write_text("{")
    with pytest.raises(WeightsError, match=r"cannot be read as a card"):
        load_run(file)
    card_path(file).unlink()
    with pytest.raises(
        CheckpointError,
        match=r"has no card \(.*\.json\) that would make it a release",
    ):
        load_run(file)
