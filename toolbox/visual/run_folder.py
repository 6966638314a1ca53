"""Reading a run's folder for people: whatever is missing or torn is left out and said, never an exception."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from toolbox.config.data import DATA_NAME, PYTHON_NAME, read_data
from toolbox.weights.errors import WeightsError, reason
from toolbox.weights.plain_json import parse_json, read_json

T = TypeVar("T")
_LONGEST_CONFIG = 2**20  # characters that are parsed, each of which may take 100 bytes


@dataclass
class Figure:
    """A picture of the run. ``iteration`` is set for sample grids."""

    path: Path
    caption: str = ""
    iteration: int | None = None


@dataclass
class Table:
    """A table of the run: ``rows`` of plain values, one for each column."""

    title: str
    columns: list[str]
    rows: list[list[Any]]


@dataclass
class RunFolder:
    """What lies in a run's folder.

    Attributes:
        path: the folder.
        config: text of ``config.py`` for the page, or ''.
        settings: ``config.json``, or {}.
        environment: ``environment.json``, or {}.
        scalars: readings of the losses, in order.
        metrics: records of the metrics, in order.
        failures: {metric: why it could not be computed}, where that is the newest that is known of it.
        samples: grids of ``samples/``, by iteration.
        pictures, tables: of the folders with these names.
        stages: games played before this one, by name.
        done: iterations of a training that came to its end (``done.json``), else None.
        notes: what could not be read, in words.
    """

    path: Path
    config: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    scalars: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    samples: list[Figure] = field(default_factory=list)
    pictures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    stages: dict[str, RunFolder] = field(default_factory=dict)
    done: int | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The config's ``title``, else the folder's name."""
        own = self.settings.get("title") or _config_value(self.config, "title")
        return str(own or self.path.name)

    @property
    def data(self) -> dict[str, Any]:
        """What the run learnt from."""
        data = self.environment.get("data")
        return data if isinstance(data, dict) else {}

    @property
    def has_images(self) -> bool:
        """Whether it learnt from images: its config names a data set, or says nothing of it."""
        loader = self.settings.get("train_dataloader")
        return not isinstance(loader, dict) or loader.get("dataset", {}) is not None

    @property
    def embedded(self) -> bool:
        """Whether data shipped with the toolbox was learnt from, or measured against."""
        measured = [record["data"] for record in self.metrics if isinstance(record.get("data"), dict)]
        return any(data.get("embedded") for data in (self.data, *measured))

    @property
    def notices(self) -> list[str]:
        """Sentences the run must be read with (stand-ins for data or weights)."""
        found = [self.data.get("notice"), *_as_list(self.data.get("notices"))]
        found += [record.get("notice") for record in self.metrics]
        return list(dict.fromkeys(str(notice) for notice in found if notice))

    @property
    def iterations(self) -> int | None:
        """How far training has come: to its end, else to the last iteration that was logged."""
        logged = [int(record["iteration"]) for record in self.scalars]
        if self.done:
            logged.append(self.done)
        return max(logged, default=None)

    @property
    def max_iterations(self) -> int | None:
        """How many iterations the config asks for."""
        length = self.settings.get("train_cfg")
        asked = length.get("max_iters") if isinstance(length, dict) else None
        asked = asked or _config_value(self.config, "max_iters")
        return asked if isinstance(asked, int) else None

    @property
    def finished(self) -> bool:
        """Whether training came to its end."""
        return self.done is not None


def read_run_folder(path: str | Path, with_stages: bool = True) -> RunFolder:
    """Everything that can be read of a finished or running run.

    Args:
        path: the folder.
        with_stages: of the games before it too, which have none of their own.

    Raises:
        FileNotFoundError: when the folder itself does not exist.
    """
    path = Path(path)
    if not path.is_dir():
        raise FileNotFoundError(
            f"{path} is not a folder: a run's folder holds config.json, scalars.jsonl, samples/ ..."
        )
    run = RunFolder(path)
    run.config = _try(run, path / PYTHON_NAME, _text, "") or _try(run, path / DATA_NAME, _text, "")
    run.settings = _try(run, path / DATA_NAME, read_data, {})
    run.environment = _try(run, path / "environment.json", _json_object, {})
    run.scalars = [r for r in _json_lines(run, "scalars.jsonl") if _has_iteration(r)]
    records = [r for r in _json_lines(run, "metrics.jsonl") if isinstance(r.get("metric"), str)]
    run.metrics = [record for record in records if "error" not in record]
    newest = {record["metric"]: record for record in records}
    run.failures = {name: str(r["error"]) for name, r in newest.items() if "error" in r}
    run.samples = _read_samples(path / "samples")
    run.pictures = _read_pictures(run)
    tables = [_try(run, file, _table, None) for file in sorted((path / "tables").glob("*.json"))]
    run.tables = [table for table in tables if table is not None]
    run.done = _try(run, path / "done.json", lambda file: int(_json_object(file)["iterations"]), None)
    stages = [stage for stage in sorted((path / "stages").glob("*")) if with_stages and stage.is_dir()]
    run.stages = {stage.name: read_run_folder(stage, with_stages=False) for stage in stages}
    return run


def _try(run: RunFolder, file: Path, read: Callable[[Path], T], default: T) -> T:
    """What ``read`` makes of the file, or the default: where it is missing, or torn (which is noted)."""
    if not file.is_file():
        return default
    try:
        return read(file)
    except Exception as error:  # whatever the file holds, the report is written
        run.notes.append(f"{file.relative_to(run.path)} could not be read ({reason(error)}); left out.")
        return default


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace")


def _json_object(file: Path) -> dict[str, Any]:
    value = read_json(file, constant=float)
    if not isinstance(value, dict):
        raise ValueError(f"a JSON object is expected, not {type(value).__name__}")
    return value


def _json_lines(run: RunFolder, name: str) -> list[dict[str, Any]]:
    """Records of a .jsonl file. Torn lines (a killed run leaves one) are counted in a note."""
    lines = [line for line in _try(run, run.path / name, _text, "").splitlines() if line.strip()]
    records = [record for line in lines if isinstance(record := _json_or_none(line), dict)]
    torn = len(lines) - len(records)
    if torn:
        run.notes.append(f"{name}: {torn} of {len(lines)} lines could not be read; left out.")
    return records


def _json_or_none(line: str) -> Any:
    try:
        return parse_json(line, constant=float)
    except WeightsError:
        return None


def _has_iteration(record: dict[str, Any]) -> bool:
    return isinstance(record.get("iteration"), int) and abs(record["iteration"]) < 2**53


def _read_samples(folder: Path) -> list[Figure]:
    found = []
    for file in folder.glob("iter_*.png"):
        number = file.stem.removeprefix("iter_")
        if number.isdigit():
            found.append(Figure(file, iteration=int(number)))
    return sorted(found, key=lambda figure: figure.iteration or 0)


def _read_pictures(run: RunFolder) -> list[Figure]:
    """The captions' order first, then the rest by name."""
    captions: dict[str, Any] = _try(run, run.path / "pictures" / "captions.json", _json_object, {})
    files = {file.name: file for file in sorted((run.path / "pictures").glob("*.png"))}
    names = [name for name in captions if name in files] + [name for name in files if name not in captions]
    return [Figure(files[name], str(captions.get(name) or _spoken(files[name].stem))) for name in names]


def _table(file: Path) -> Table:
    value = _json_object(file)
    columns = [str(column) for column in _as_list(value["columns"])]
    rows = [_as_list(row) for row in _as_list(value["rows"])]
    return Table(str(value.get("title") or _spoken(file.stem)), columns, rows)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _spoken(stem: str) -> str:
    """'real_and_fake' as 'Real and fake'."""
    words = stem.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]


def _config_value(config: str, name: str) -> Any:
    """The constant that a config gives to ``name`` at its top level or within ``train_cfg``, or None.

    Only parsed, not executed: for older runs, which keep nothing else.
    """
    if len(config) > _LONGEST_CONFIG:
        return None
    try:
        statements = ast.parse(config).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the last of brackets nested too deep
        return None
    given: list[tuple[str | None, ast.expr]] = []
    for statement in statements:
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            target = statement.targets[0].id
            given.append((target, statement.value))
            if target == "train_cfg" and isinstance(statement.value, ast.Call):
                given += [(keyword.arg, keyword.value) for keyword in statement.value.keywords]
    constants = [value.value for key, value in given if key == name and isinstance(value, ast.Constant)]
    return constants[0] if constants else None
