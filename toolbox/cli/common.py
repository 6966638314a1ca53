"""Arguments that several commands share."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolbox.catalog import CatalogError

if TYPE_CHECKING:
    from toolbox.training.game.sampler import Sampler


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """CONFIG, --quick, --cfg-options, --plugin."""
    parser.add_argument("config", help="a config's path, or <plugin>/<config>")
    add_config_options(parser)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """--quick, --cfg-options, --plugin."""
    parser.add_argument(
        "--quick", action="store_true", help="the config's small version: minutes on a laptop CPU"
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="overrides, such as train_cfg.max_iters=500 model.networks.generator.channels=32",
    )
    add_plugin_argument(parser)


def add_plugin_argument(parser: argparse.ArgumentParser) -> None:
    """--plugin, once for each file."""
    parser.add_argument(
        "--plugin", action="append", default=[], metavar="FILE", help="a Python file to load as a plugin"
    )


def add_launcher_arguments(parser: argparse.ArgumentParser) -> None:
    """--launcher, --rank-timeout."""
    parser.add_argument(
        "--launcher",
        default="none",
        choices=("none", "pytorch", "slurm", "mpi"),
        help="who started the processes that share the work: pytorch (torchrun), slurm (srun), mpi (mpirun)",
    )
    parser.add_argument(
        "--rank-timeout",
        type=float,
        default=600.0,
        metavar="SECONDS",
        help="how long one process waits for another before the run ends (default 600)",
    )


def joined(arguments: argparse.Namespace) -> AbstractContextManager[None]:
    """This process as one of those that the launcher started."""
    from toolbox.runs.launch import processes

    return processes(arguments.launcher, arguments.rank_timeout)


def load_plugins(arguments: argparse.Namespace) -> None:
    """Load the files named by --plugin."""
    from toolbox.plugins import host

    for file in arguments.plugin:
        record = host().load_file(file)
        if record.state != "loaded":
            raise SystemExit(f"error: plugin {file}: {record.state}: {record.reason}")


def read_options(pairs: list[str]) -> dict[str, Any]:
    """``KEY=VALUE`` words as a dict; values are read as numbers, lists, None, true, quoted or plain strings.

    mmengine's own reader deletes the blanks inside a value, so it is asked only where there are none.
    """
    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise SystemExit(f"error: --cfg-options {pair!r}: expected KEY=VALUE")
        options[key] = _value(value)
    return options


def _value(text: str) -> Any:
    from mmengine.config import DictAction

    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text if " " in text else _by_mmengine(text, DictAction._parse_iterable)
    return list(value) if isinstance(value, tuple) and not text.startswith("(") else value


def _by_mmengine(text: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(text)
    except (RecursionError, AssertionError):  # of a call such as dict(a=1), or brackets that do not match
        cure = "write a dict as \"{'key': value}\""
        raise SystemExit(f"error: --cfg-options: {text!r} cannot be read: {cure}") from None


def add_text_arguments(parser: argparse.ArgumentParser, what: str) -> None:
    """--text, --texts."""
    parser.add_argument("--text", action="append", metavar="CAPTION", help=f"{what}; several: one each")
    parser.add_argument("--texts", metavar="FILE", help="of the captions in this file, one a line")


def texts_of(arguments: argparse.Namespace) -> list[str] | None:
    """Captions of --text and --texts, or None.

    Raises:
        CatalogError: for a file that cannot be read, and captions without a letter.
    """
    texts: list[str] = list(arguments.text or ())
    if "" in [text.strip() for text in texts]:
        raise CatalogError('--text "": a caption needs words')
    if arguments.texts is not None:
        try:
            lines = Path(arguments.texts).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise CatalogError(f"--texts {arguments.texts}: {error}") from None
        texts += [line.strip() for line in lines if line.strip()]
        if not texts:
            raise CatalogError(f"--texts {arguments.texts}: it has no captions")
    return texts or None


def tell_left_out(sampler: Sampler, texts: Sequence[str], name: str = "") -> None:
    """Say which words of captions a run does not read: unknown ones, and those beyond its longest caption."""
    from toolbox.data.vocabulary import words_of
    from toolbox.runs.terminal import complain

    conditioner = sampler.game.conditioner
    for text in texts:
        try:
            read = conditioner.in_words(conditioner.of_texts([text]))
        except ValueError:
            return  # whoever draws it says why
        known = set(words_of(" ".join(read)))
        lost = [word for word in words_of(text) if word not in known]
        if read and lost:
            complain(f"{name}{text!r} is read without {len(lost)} of its words: {', '.join(lost)}")


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    """--device, default the GPU where there is one."""
    parser.add_argument(
        "--device", default=None, help="cpu, cuda or cuda:1; default the GPU where there is one"
    )


def device_of(arguments: argparse.Namespace) -> str:
    """The device asked for, or the best there is."""
    import torch

    return arguments.device or ("cuda" if torch.cuda.is_available() else "cpu")
