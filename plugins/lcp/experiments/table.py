"""The ablation table on embedded data, made by one command:

    python plugins/lcp/experiments/table.py --seeds 0 1 2 --iterations 500 --jobs 2 --out runs/lcp_table

Three coarse classes of three Fashion-MNIST classes each, so that the intra-class modes are known: 'top'
(t-shirt, pullover, shirt), 'shoe' (sandal, sneaker, ankle boot), 'other' (trouser, dress, bag). 40 labels a
coarse class, k = 3, equal iterations. A run that is finished is not run again. ``table.md`` and
``table.json`` hold mean and standard deviation over seeds.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))
from toolbox.source_tree import use_source_tree

use_source_tree(ROOT)

from toolbox.config import load_config
from toolbox.loading import load_game
from toolbox.metrics.functional.clustering import agreement_per_class
from toolbox.pipeline import evaluate_run, train
from toolbox.registry import build
from toolbox.runs.files import write_text
from toolbox_lcp.conditions import ClusterConditions

ROWS = {
    "all labels": "toolbox/biggan_cifar",
    "labels only": "lcp/lcp_cifar_labels_only",
    "+ pseudo-labels": "lcp/lcp_cifar_pseudo",
    "+ clusters": "lcp/lcp_cifar_clusters",
    "+ hand-written prompts": "lcp/lcp_cifar_hand_prompts",
    "+ learnt prompts (full)": "lcp/lcp_cifar",
}
GROUPS = {
    "top": ["t-shirt", "pullover", "shirt"],
    "shoe": ["sandal", "sneaker", "ankle boot"],
    "other": ["trouser", "dress", "bag"],
}
METRICS = {
    "fid": "FID (toy-clip)",
    "intra-fid": "intra-class FID (toy-clip)",
    "accuracy": "class accuracy (toy-clip)",
    "fid-tiny": "FID (tiny-conv)",
    "intra-fid-tiny": "intra-class FID (tiny-conv)",
    "accuracy-tiny": "class accuracy (tiny-conv)",
    "consistency": "cluster consistency",
    "agreement": "agreement with sub-categories",
    "labeller": "accuracy of the pseudo-labels (test)",
}


def run_config(name: str, seed: int, iterations: int, n_fake: int) -> Any:
    """The quick version of a config on the coarse classes."""
    source = dict(type="RelabelledSet", source=dict(type="EmbeddedFashion"), groups=GROUPS)
    config = load_config(name, quick=True)
    config.seed = seed
    config.threads = 1
    config.train_cfg.max_iters = iterations
    config.train_dataloader.dataset.source = config.evaluation.real = source
    if config.train_dataloader.dataset.get("split"):
        config.train_dataloader.dataset.split.seed = seed
    config.evaluation.test = dict(source, split="test")
    config.evaluation.n_fake = n_fake
    wanted = ("fid", "intra_fid", "accuracy", "consistency")
    metrics = config.evaluation.metrics
    config.evaluation.metrics = {key: value for key, value in metrics.items() if key in wanted}
    config.hooks.samples = None
    if "prompts" in config.model.objectives:  # as the table was made; a quick run takes a quarter
        config.model.objectives.prompts.weight.to = 1.0
        config.model.augment.discriminators = ["discriminator"]
    return config


def run_one(
    name: str, seed: int, iterations: int, n_fake: int, folder: Path, borrow: Path | None = None
) -> dict[str, float]:
    """Train, measure, and keep ``result.json``.

    Args:
        name: of the config.
        seed: of the run and its split.
        iterations: of the main stage.
        n_fake: generated images that an evaluation measures.
        folder: of the run.
        borrow: a run of the same seed whose stages before the main one (the classifier) are the same.
    """
    kept = folder / "result.json"
    if kept.is_file():
        result = dict(json.loads(kept.read_text()))
        if "fid-tiny" not in result:
            result |= measured_elsewhere(folder)
            write_text(json.dumps(result), kept)
        return result
    shutil.rmtree(folder, ignore_errors=True)
    config = run_config(name, seed, iterations, n_fake)
    if borrow is not None and config.get("stages") and (borrow / "stages").is_dir():
        shutil.copytree(borrow / "stages", folder / "stages")
    train(config, work_dir=folder, evaluate=False, report=False)
    if not (folder / "done.json").is_file():
        raise SystemExit(f"{folder} was interrupted: nothing of it is in the table; run the command again")
    found = _by_metric(evaluate_run(folder))
    result = {"fid": found["fid"], "intra-fid": found["intra-fid"], "accuracy": found["classifier-accuracy"]}
    if "cluster-consistency" in found:
        result["consistency"] = found["cluster-consistency"]
    if "pseudo-labeller-accuracy" in found:
        result["labeller"] = found["pseudo-labeller-accuracy"]
    result |= cluster_agreement(folder) | measured_elsewhere(folder)
    write_text(json.dumps(result), kept)
    return result


def measured_elsewhere(folder: Path) -> dict[str, float]:
    """Distances and accuracy in a network that no discriminator has seen.

    Rows with prompts are trained against the embedded CLIP; in its own features they are judged by what they
    were trained to please.
    """
    metrics = {
        "fid": dict(type="FID"),
        "intra_fid": dict(type="IntraFID"),
        "accuracy": dict(type="ClassifierAccuracy"),
    }
    extractor = dict(type="TinyConvFeatures")
    found = _by_metric(evaluate_run(folder, metrics=metrics, extractor=extractor, test=None))
    return {
        "fid-tiny": found["fid"],
        "intra-fid-tiny": found["intra-fid"],
        "accuracy-tiny": found["classifier-accuracy"],
    }


def _by_metric(values: Mapping[str, float]) -> dict[str, float]:
    """'fid[settings]' to 'fid'; other keys are left out."""
    return {key.split("[")[0]: value for key, value in values.items() if key.endswith("]")}


def cluster_agreement(folder: Path) -> dict[str, float]:
    """Mean over classes of the AMI of all training images' clusters and their true sub-category."""
    conditioner = load_game(folder).conditioner
    if not isinstance(conditioner, ClusterConditions):
        return {}
    source = build(load_config(folder / "config.json").train_dataloader["dataset"]["source"], "dataset")
    clusters = conditioner.coefficients.argmax(dim=1).cpu().numpy()
    return {"agreement": agreement_per_class(clusters, np.asarray(source.factors["fine"]), source.labels)}


def markdown(results: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Rows of mean ± standard deviation."""
    lines = ["| | " + " | ".join(METRICS.values()) + " |", "|---|" + "---|" * len(METRICS)]
    for row, runs in results.items():
        cells = [cell([run[key] for run in runs if key in run]) for key in METRICS]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(values: Sequence[float]) -> str:
    """Mean ± standard deviation, or a dash for no value."""
    if not values:
        return "-"
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


def main(words: Sequence[str] | None = None) -> int:
    """Run what is not there yet, then write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--n-fake", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=2, help="seeds trained at the same time, one thread each")
    parser.add_argument("--out", default="runs/lcp_table")
    parser.add_argument("--rows", nargs="+", default=list(ROWS), choices=list(ROWS), help="rows to run")
    arguments = parser.parse_args(words)
    out = Path(arguments.out)
    if arguments.jobs > 1 and len(arguments.seeds) > 1:
        _train_in_parallel(arguments)
    results: dict[str, list[dict[str, float]]] = {row: [] for row in arguments.rows}
    for seed in arguments.seeds:
        lender = None
        for row in arguments.rows:
            folder = out / f"seed{seed}" / Path(ROWS[row]).name
            result = run_one(ROWS[row], seed, arguments.iterations, arguments.n_fake, folder, lender)
            results[row].append(result)
            if (folder / "stages").is_dir():
                lender = folder
    text = markdown(results)
    write_text(text + "\n", out / "table.md")
    settings = dict(iterations=arguments.iterations, seeds=arguments.seeds, n_fake=arguments.n_fake)
    write_text(json.dumps({**settings, "results": results}, indent=2), out / "table.json")
    print(text)
    return 0


def _train_in_parallel(arguments: argparse.Namespace) -> None:
    """One process of this script a seed; their runs end where one process would leave them."""
    common = ["--iterations", str(arguments.iterations), "--n-fake", str(arguments.n_fake), "--jobs", "1"]
    common += ["--rows", *arguments.rows]

    def train_seed(seed: int) -> None:
        part = f"{arguments.out}/.part{seed}"
        command = [sys.executable, __file__, "--seeds", str(seed), "--out", part, *common]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        shutil.copytree(f"{part}/seed{seed}", f"{arguments.out}/seed{seed}", dirs_exist_ok=True)

    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(train_seed, arguments.seeds))


if __name__ == "__main__":
    sys.exit(main())
