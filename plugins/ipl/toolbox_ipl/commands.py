"""``toolbox ipl``: its commands."""

from __future__ import annotations

import argparse
import json
from typing import Any

from toolbox.runs.terminal import show
from toolbox_ipl import translation_command
from toolbox_ipl.table import command as table


def add_commands(subparsers: Any) -> None:
    """Add ``ipl`` with its own sub-commands."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "ipl",
        help="adapted generators: real images translated, tables, studies",
        description="Zero-shot adaptation of generators (IPL, StyleGAN-NADA, Diff-IPL).",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, module in (("table", table), ("translate", translation_command)):
        command = commands.add_parser(name, help=module.SUMMARY)
        module.add_arguments(command)
        command.set_defaults(execute=module.execute)
    add_study(commands)
    add_votes(commands)
    add_published(commands)
    add_blend(commands)
    add_directions(commands)


def add_study(commands: Any) -> None:
    """``toolbox ipl study A=RUN B=RUN -o study.html``."""
    summary = "one HTML file of blinded pairs of two methods, for raters"
    parser: argparse.ArgumentParser = commands.add_parser("study", help=summary, description=_STUDY)
    parser.add_argument(
        "methods",
        nargs=2,
        metavar="NAME=SOURCE",
        help="a run, release or published weights; or a folder of pictures, the other's with the same names",
    )
    parser.add_argument("-o", "--out", default="study.html", metavar="FILE", help="default %(default)s")
    parser.add_argument("--pairs", type=int, default=40, metavar="N", help="default %(default)s")
    parser.add_argument("--checks", type=int, default=2, metavar="N", help="attention checks (default 2)")
    parser.add_argument("--question", default=None, metavar="TEXT", help="what raters are asked")
    parser.add_argument("--size", type=int, default=512, metavar="PIXELS", help="at most (default 512)")
    parser.add_argument("--truncation", type=float, default=1.0, help="of runs (default 1, none)")
    parser.add_argument("--seed", type=int, default=0, help="of latents, order and sides (default 0)")
    parser.set_defaults(execute=execute_study)


_STUDY = (
    "Write a page that shows pairs of the same latents side by side and asks which is preferred, order and "
    "sides by chance for each rater. Raters open it in a browser and send back a CSV file. The page names no "
    "method; the key beside it (FILE.key.json) does, and belongs to 'toolbox ipl votes'."
)


def execute_study(arguments: argparse.Namespace) -> int:
    """Write the page and its key; returns the exit code.

    Raises:
        ValueError: for sources that do not fit together.
    """
    from toolbox.ranges import check_whole
    from toolbox_ipl.study.page import QUESTION, make_study
    from toolbox_ipl.study.sources import pairs

    check_whole(1, pairs=arguments.pairs)
    check_whole(16, size=arguments.size)
    named = [text.partition("=") for text in arguments.methods]
    for text, (name, _, source) in zip(arguments.methods, named, strict=True):
        if not name or not source:
            raise ValueError(f"{text!r}: expected NAME=SOURCE, such as IPL=runs/ipl")
    sources = [source for _, _, source in named]
    settings = dict(size=arguments.size, seed=arguments.seed, truncation=arguments.truncation)
    first, second = pairs(sources[0], sources[1], arguments.pairs, **settings)
    study = make_study(
        [name for name, _, _ in named],
        first,
        second,
        arguments.question or QUESTION,
        arguments.checks,
        arguments.seed,
    )
    page, key = study.write(arguments.out)
    show(f"{page}: {arguments.pairs} pairs, {arguments.checks} checks; keep {key} from the raters")
    return 0


def add_votes(commands: Any) -> None:
    """``toolbox ipl votes CSV ... --key study.key.json``."""
    summary = "what the answers to a study say: preference, intervals, p"
    parser: argparse.ArgumentParser = commands.add_parser("votes", help=summary, description=summary)
    parser.add_argument("answers", nargs="+", metavar="CSV", help="files that raters sent")
    parser.add_argument("--key", required=True, metavar="FILE", help="the key that was written with the page")
    parser.add_argument(
        "--allowed", type=int, default=0, metavar="N", help="checks a rater may fail (default 0)"
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(execute=execute_votes)


def execute_votes(arguments: argparse.Namespace) -> int:
    """Print the preference; returns the exit code.

    Raises:
        ValueError: for files that are no answers to the key's study.
    """
    from toolbox_ipl.study.votes import as_json, preference, read_answers, summary

    answers = read_answers(arguments.answers, arguments.key, arguments.allowed)
    found = preference(list(answers.votes.values()))
    show(as_json(answers, found) if arguments.json else summary(answers, found))
    return 0


def add_published(commands: Any) -> None:
    """``toolbox ipl published``."""
    summary = "the paper's table, and own values beside it"
    parser: argparse.ArgumentParser = commands.add_parser("published", help=summary, description=summary)
    parser.add_argument("--results", metavar="FILE", help="JSON: {row: {'nada' or 'ipl': {metric: value}}}")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(execute=execute_published)


def execute_published(arguments: argparse.Namespace) -> int:
    """Print the table; returns the exit code.

    Raises:
        ValueError: for a file of results that does not fit the table.
    """
    from toolbox_ipl.published import published_json, published_table, read_results

    results = read_results(arguments.results) if arguments.results else None
    show(json.dumps(published_json(results), indent=1) if arguments.json else published_table(results))
    return 0


def add_blend(commands: Any) -> None:
    """``toolbox ipl blend RUN -o FILE``."""
    summary = "weights from the source to the adapted generator, as a picture"
    parser: argparse.ArgumentParser = commands.add_parser("blend", help=summary, description=summary)
    parser.add_argument("run", metavar="RUN", help="a run of both generators: its folder, or a checkpoint")
    parser.add_argument("-o", "--out", default="blend.png", metavar="FILE", help="default %(default)s")
    parser.add_argument("--columns", type=int, default=6, metavar="N", help="weights (default %(default)s)")
    parser.add_argument("--rows", type=int, default=4, metavar="N", help="latents (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the latents (default 0)")
    parser.add_argument("--source", default="source", metavar="NAME", help="network (default %(default)s)")
    parser.set_defaults(execute=execute_blend)


def execute_blend(arguments: argparse.Namespace) -> int:
    """Write the picture; returns the exit code.

    Raises:
        ValueError: for a run without a source.
    """
    from toolbox_ipl.blending import draw_blend

    own = arguments
    show(f"{draw_blend(own.run, own.out, own.columns, own.rows, own.seed, own.source)}")
    return 0


def add_directions(commands: Any) -> None:
    """``toolbox ipl directions RUN -o FILE``."""
    summary = "where images move and where their texts point, as arrows"
    parser: argparse.ArgumentParser = commands.add_parser("directions", help=summary, description=summary)
    parser.add_argument(
        "run", metavar="RUN", help="a run with a DirectionalClip: its folder, or a checkpoint"
    )
    parser.add_argument("-o", "--out", default="directions.png", metavar="FILE", help="default %(default)s")
    parser.add_argument("--n", type=int, default=64, metavar="N", help="latents (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the latents (default 0)")
    parser.set_defaults(execute=execute_directions)


def execute_directions(arguments: argparse.Namespace) -> int:
    """Write the picture, print its numbers; returns the exit code.

    Raises:
        ValueError: for a run without directions.
    """
    from toolbox_ipl.arrows import directions_of, draw_directions

    found = directions_of(arguments.run, arguments.n, arguments.seed)
    for name, value in found.values().items():
        show(f"{name}: {value:.3f}")
    show(f"{draw_directions(found, arguments.out)}")
    return 0
