"""Whether a folder may be fitted into: a run is continued as it was begun, and never written over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from toolbox.config import ConfigError
from toolbox.runs.changes import check_kept_command, differences, in_words
from toolbox.runs.kept import kept_config
from toolbox.weights.fingerprint import fingerprint
from toolbox_klish.runs.run import ClusterRun
from toolbox_klish.runs.settings import COMMAND


def check_folder(run: ClusterRun, resume: bool) -> None:
    """Raise a ConfigError if the run's folder holds another run, or one that is not to be continued."""
    kept = kept_config(run.folder)
    if kept is None:
        if any(run.folder.glob("models/*.npz")):
            raise ConfigError(
                f"{run.folder} holds fitted clusterers, but no config.json that says of what: bring it back, "
                "or name another folder with --work-dir"
            )
        return
    check_kept_command(run.folder, kept, COMMAND)
    if not resume:
        raise ConfigError(
            f"{run.folder} holds a clustering run already: continue it with --resume, or name another folder "
            "with --work-dir"
        )
    changes = _changes(run, kept)
    if changes:
        raise ConfigError(
            f"{run.folder} holds a run of another config: {in_words(changes)}. Give it the config it was "
            "begun with, or name another folder with --work-dir"
        )
    _check_names(run, kept)


def _changes(run: ClusterRun, kept: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """{dotted key: (before, now)} of all that the fits depend on; clusterers may be added and left out."""
    changes: dict[str, tuple[Any, Any]] = {}
    for part in ("generator", "features", "clusterers"):
        before = dict(kept.get(part, {}))
        now = run.config[part]
        now = now.to_dict() if hasattr(now, "to_dict") else dict(now)
        if part == "clusterers":
            both = before.keys() & now.keys()
            before = {name: value for name, value in before.items() if name in both}
            now = {name: value for name, value in now.items() if name in both}
        changes.update(differences(before, now, part))
    weights = run.record.get("generator", {}).get("fingerprint")
    if weights is not None and weights != fingerprint(run.generator):
        changes["weights of the generator"] = (weights[:12], fingerprint(run.generator)[:12])
    return changes


def _check_names(run: ClusterRun, kept: Mapping[str, Any]) -> None:
    """names.json is of one classifier: that of the first seed at the final number."""
    path = run.folder / "names.json"
    if not path.is_file():
        return
    before = (kept["seeds"][0], kept["final"])
    now = (run.seeds[0], run.config.final)
    if now != before:
        raise ConfigError(
            f"{path} names the clusters of seed {before[0]} at final={before[1]}, not those of seed "
            f"{now[0]} at final={now[1]}: keep that seed first and that number, or move the file away"
        )
