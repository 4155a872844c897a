"""The Python door: ``fit`` a task, ``load`` a model, and the ``Model`` they give.

This module is light; torch and the readers load when a task's work is imported.
"""

from __future__ import annotations

import logging
import math
import os
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longspan.core.errors import ModelError
from longspan.tasks.base import Contents, Door, Options, Task, Work, find_task
from longspan.tasks.place import HeldRun, Place, had_ended
from longspan.tasks.settings import FitSettings

if TYPE_CHECKING:
    import polars

    from longspan.inspect.inspection import Inspection
    from longspan.store.manifest import Manifest

__all__ = ["Model", "fit", "fit_task", "like", "load", "plain"]

_LOG = logging.getLogger("longspan")


def fit(
    task: str,
    data: Any,
    *,
    out: str | os.PathLike[str] | None = None,
    seed: int = 0,
    device: str = "auto",
    time_budget: float | str | None = None,
    resume: bool = False,
    force: bool = False,
    progress: bool | None = None,
    **options: Any,
) -> Model:
    """Learn a task from data.

    Args:
        task: ``"forecast"`` …; ``longspan fit`` on the shell lists them.
        data: a path, or a frame of any library that narwhals knows: pandas, polars, pyarrow …
        out: folder to write the model to; while training, checkpoints are kept beside it in ``OUT.partial``.
            None keeps the model in memory, to be saved with :meth:`Model.save`.
        seed: the one seed of every random choice.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.
        time_budget: longest time for the whole fit, in seconds or as ``"15m"``; no limit where None.
        resume: go on where an interrupted run with the same ``out`` stopped.
        force: replace the model at ``out``.
        progress: show progress and notes on standard error; None shows them in a terminal. Notes that are not
            shown go to the logger ``longspan``.
        **options: those of the task, as ``longspan fit TASK --help`` lists them, with ``_`` for ``-``.

    Raises:
        InputError: an option is unknown, missing or wrong, or ``out`` cannot be used.
        DataError: the data cannot be used; nothing was written.
        TrainingError: training cannot go on.
    """
    declared = find_task(task)
    given = {
        "out": None if out is None else os.fspath(out),
        "seed": seed,
        "device": device,
        "time_budget": time_budget,
        "resume": resume,
        "force": force,
        "progress": sys.stderr.isatty() if progress is None else progress,
    }
    settings = FitSettings.read(given, verb="fit")
    checked = declared.fit_options.read(options, verb=f"fit {task}")
    command = _python_command(task, data, given, options)
    return fit_task(declared, data, checked, settings, command=(command,))


def fit_task(
    task: Task,
    data: Any,
    options: Options,
    settings: FitSettings,
    *,
    command: tuple[str, ...],
    door: Door = "python",
) -> Model:
    """:func:`fit` with its arguments read already; the command line comes in here.

    Args:
        task: which task.
        data: a path or a frame.
        options: the task's own.
        settings: those that every fit takes.
        command: how the run was started, for the model's records: the words of the shell, or one of Python.
        door: how to spell options in errors.
    """
    say = _tell if settings.progress else _LOG.info
    if settings.out is not None and had_ended(task, options, settings):
        say(f"the run had ended: {settings.out} is its model. The work folder that it left is removed")
        return load(settings.out)
    place = Place.check(settings, door)
    run = HeldRun(
        seed=settings.seed,
        device=settings.device,
        time_budget=settings.time_budget,
        workspace=place.workspace if place else None,
        resume=settings.resume,
        replace=settings.force,
        command=_shown(command),
        say=say,
        progress=settings.progress,
    )
    if place is None:
        return Model._fresh(task, task.load_work().fit(data, options, run), command)
    try:
        model = Model._fresh(task, task.load_work().fit(data, options, run), command)
        model.save(place.out, force=settings.force)
    except BaseException:
        for space in run.held:
            space.discard()
        raise
    for space in run.held:
        space.remove()
    return model


def load(path: str | os.PathLike[str]) -> Model:
    """The model that a folder holds.

    Raises:
        ModelError: no model folder, or one that is incomplete, altered, newer than this version, or of
            parts that do not go together.
    """
    from longspan.store.folder import MANIFEST, WEIGHTS, read_folder

    kept = read_folder(Path(path))
    manifest = kept.manifest
    task = find_task(manifest.task)
    files = {name: kept.read(name) for name in manifest.files if name != WEIGHTS}
    contents = Contents(config=dict(manifest.config), tensors=dict(kept.tensors), files=files)
    try:
        work = task.load_work().restore(contents)
    except ModelError as error:
        raise ModelError(f"{kept.path / MANIFEST}: {error}") from error
    return Model(task, work, _Record.of(manifest))


@dataclass(frozen=True)
class _Record:
    """Where a model comes from, as its folder keeps it."""

    created: str
    command: tuple[str, ...]
    data: dict[str, Any]
    metrics: dict[str, Any]
    versions: dict[str, str]
    bytes_on_disk: int | None = None

    @classmethod
    def of(cls, manifest: Manifest) -> _Record:
        """The record in a manifest."""
        return cls(
            created=manifest.created,
            command=manifest.command,
            data=manifest.data.model_dump(mode="json"),
            metrics=dict(manifest.metrics),
            versions={"longspan": manifest.longspan} | manifest.versions,
            bytes_on_disk=sum(each.size for each in manifest.files.values()),
        )


class Model:
    """A fitted task, as :func:`fit` and :func:`load` give it.

    Attributes:
        task: its declaration.
        work: what does the task's work; see :class:`longspan.tasks.base.Work`.
    """

    def __init__(self, task: Task, work: Work, record: _Record) -> None:
        self.task, self.work, self._record = task, work, record

    @classmethod
    def _fresh(cls, task: Task, work: Work, command: tuple[str, ...]) -> Model:
        from longspan.store.manifest import DataRecord, Manifest

        found = work.describe()
        data, metrics = DataRecord.model_validate(found["data"]), plain(found.get("metrics", {}))
        manifest = Manifest.new(task.name, data, metrics=metrics, command=command)
        return cls(task, work, replace(_Record.of(manifest), bytes_on_disk=None))

    def __repr__(self) -> str:
        return f"<longspan {self.task.name} model, {self.info()['sizes']['parameters']:,} parameters>"

    def predict(self, data: Any, **options: Any) -> Any:
        """The model's answer to the data.

        Args:
            data: as for :func:`fit`; newer data than those of the fit need no new fit.
            **options: as ``longspan predict --help`` lists them.

        Returns:
            A frame of the library that ``data`` is of (pandas in, pandas out); polars for a path and for
            frames that are not in memory.
        """
        verb = f"predict with a {self.task.name} model"
        return like(self.work.predict(data, self.task.predict_options.read(options, verb=verb)), data)

    def evaluate(self, data: Any, **options: Any) -> dict[str, Any]:
        """Scores on data with known answers; options as ``longspan evaluate --help`` lists them."""
        verb = f"evaluate a {self.task.name} model"
        return self.work.evaluate(data, self.task.evaluate_options.read(options, verb=verb))

    def inspect(self, data: Any, **options: Any) -> Inspection:
        """What it remembers and for how long; options as ``longspan inspect --help`` lists them."""
        from longspan.inspect.work import inspect_work

        return inspect_work(self.task, self.work, data, options)

    def info(self) -> dict[str, Any]:
        """What the model is and where it comes from: task, command, data hash, metrics, sizes, versions."""
        found = self.work.describe()
        tensors = list(self.work.contents().tensors.values())
        in_memory = sum(each.numel() * each.element_size() for each in tensors)
        sizes = {
            "parameters": found.pop("parameters", sum(each.numel() for each in tensors)),
            "bytes": self._record.bytes_on_disk or in_memory,
        }
        own = {"task", "created", "command", "data", "metrics", "versions", "sizes"}
        return {
            "task": self.task.name,
            "created": self._record.created,
            "command": _shown(self._record.command),
            "data": self._record.data,
            "metrics": self._record.metrics,
            "sizes": sizes,
            "versions": self._record.versions,
        } | {key: value for key, value in found.items() if key not in own}

    def save(self, path: str | os.PathLike[str], force: bool = False) -> Path:
        """Write the model folder, whole or not at all.

        Args:
            path: the folder to make.
            force: replace a model folder that is there.

        Raises:
            InputError: something is there and ``force`` is off, or it is not a model folder.
            ModelError: it could not be written; what was there is as it was.
        """
        from longspan.store.folder import write_folder
        from longspan.store.manifest import Manifest

        contents, record = self.work.contents(), self._record
        manifest = Manifest.model_validate(
            {
                "task": self.task.name,
                "created": record.created,
                "command": record.command,
                "data": record.data,
                "config": contents.config,
                "metrics": record.metrics,
                "versions": record.versions,
            }
        )
        self._record = _Record.of(
            write_folder(Path(path), manifest, contents.tensors, contents.files, force=force)
        )
        return Path(path)


def like(frame: polars.DataFrame, data: Any) -> Any:
    """The frame in the library of ``data``: pandas, modin, cuDF or pyarrow; polars for anything else."""
    import narwhals as nw

    given = nw.from_native(data, eager_only=True, pass_through=True)
    if not isinstance(given, nw.DataFrame) or given.implementation.is_polars():
        return frame
    if given.implementation.is_pyarrow():
        return frame.to_arrow()
    columns = {name: frame[name].to_numpy() for name in frame.columns}
    zones = {name: zone for name, kind in frame.schema.items() if (zone := getattr(kind, "time_zone", None))}
    table = nw.from_dict(columns, backend=given.implementation)
    zoned = [
        nw.col(name).dt.replace_time_zone("UTC").dt.convert_time_zone(zone) for name, zone in zones.items()
    ]
    return table.with_columns(*zoned).to_native()


def plain(value: Any) -> Any:
    """A value made of what JSON has: times become ISO 8601 texts, NaN and infinities None."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if hasattr(value, "tolist"):  # numpy, torch
        return plain(value.tolist())
    if isinstance(value, Iterable):
        return [plain(each) for each in value]
    return str(value)


def _shown(command: tuple[str, ...]) -> str:
    return command[0] if len(command) == 1 else shlex.join(command)


def _python_command(task: str, data: Any, given: dict[str, Any], options: dict[str, Any]) -> str:
    source = (
        repr(str(data))
        if isinstance(data, str | os.PathLike)
        else f"<{type(data).__module__.split('.')[0]} data>"
    )
    settings = {key: value for key, value in given.items() if key not in ("progress", "resume", "force")}
    changed = {
        key: value for key, value in settings.items() if value != FitSettings.model_fields[key].default
    }
    words = [repr(task), source, *(f"{key}={value!r}" for key, value in (changed | options).items())]
    return f"longspan.fit({', '.join(words)})"


def _tell(line: str) -> None:
    sys.stderr.write(line.rstrip("\n") + "\n")
    sys.stderr.flush()
