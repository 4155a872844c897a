"""Is an LSTM worth it here? Every encoder, of one size and trained alike, beside the simple methods.

    found = longspan.compare("forecast", "load.csv", target="load", horizon=24)
    print(found.verdict.words)

The comparison of one task is its `Contest` (`longspan.models.contest`); nothing here knows what it is about.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longspan.core.errors import InputError
from longspan.studies.compare_folder import Place, write_comparison
from longspan.studies.compare_settings import CompareSettings
from longspan.tasks.base import TASKS, Door, Options, Run, Task, find_task
from longspan.tasks.place import holds_parts

if TYPE_CHECKING:
    from longspan.models.contest import Contest
    from longspan.store.workspace import Workspace
    from longspan.studies.compare_record import Made, Part, Standing
    from longspan.studies.compare_verdict import Verdict

__all__ = ["Comparison", "compare", "compare_task", "options_of"]

_LOG = logging.getLogger("longspan")


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a comparison came to.

    Attributes:
        made: how. parts: one for each share of the training data, growing; the last is the whole.
    """

    made: Made
    parts: tuple[Part, ...]

    @property
    def rows(self) -> tuple[Standing, ...]:
        """The standings with all the training data, the lowest loss first."""
        return self.parts[-1].rows

    @property
    def verdict(self) -> Verdict:
        """The answer, from all the training data."""
        return self.parts[-1].verdict

    def __repr__(self) -> str:
        return f"<longspan comparison of {len(self.rows)} methods: {self.verdict.title}>"

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON, None where a number is not finite."""
        from longspan import __version__

        parts = [each.to_json() for each in self.parts]
        whole = {key: each for key, each in parts[-1].items() if key != "share"}
        return {"longspan": __version__, **self.made.to_json(), **whole, "shares": parts}

    def html(self) -> str:
        """The page, one file that needs nothing else."""
        from longspan.studies.compare_page import comparison_page

        return comparison_page(self.made, self.parts)

    def write(self, path: str | os.PathLike[str], force: bool = False) -> Path:
        """Write ``report.html`` and ``comparison.json`` into a new folder, whole or not at all.

        Raises:
            InputError: something is there and ``force`` is off, or it is no comparison.
        """
        text = json.dumps(self.to_json(), ensure_ascii=False, allow_nan=False, indent=2) + "\n"
        return write_comparison(Path(path), self.html(), text, force=force)


def compare(
    task: str,
    data: Any,
    *,
    out: str | os.PathLike[str] | None = None,
    encoders: tuple[str, ...] = (),
    seeds: int = 3,
    learning_curve: bool = False,
    seed: int = 0,
    device: str = "auto",
    time_budget: float | str | None = None,
    resume: bool = False,
    force: bool = False,
    progress: bool | None = None,
    **options: Any,
) -> Comparison:
    """Compare all encoders and the simple methods of a task on your data.

    Every encoder has as many parameters as the LSTM (within 5 %, by its width), sees the same batches, stops
    by the same rule and is trained with the same seeds; the test part is touched by nothing before the end.

    Args:
        task: ``"forecast"`` …; ``longspan compare`` on the shell lists those that can be compared.
        data: a path, or a frame of any library that narwhals knows.
        out: folder to write the page to; None keeps the comparison in memory, to be written with
            :meth:`Comparison.write`. With a folder, each training is kept as it ends in ``OUT.partial``.
        encoders: names, all that there are where none is given; the LSTM is always among them.
        seeds: trainings of each encoder. Fewer than three give a weaker answer, which says so.
        learning_curve: the same with 10 and 30 % of the training data.
        seed, device, time_budget, resume, force, progress: as :func:`longspan.fit`; every training has the
            same part of the time.
        **options: those of the task, as ``longspan compare TASK --help`` lists them, with ``_`` for ``-``.

    Raises:
        InputError: an option is unknown, missing or wrong, the task cannot be compared, or ``out`` is taken.
        DataError: the data cannot be used.
        Interrupted: Ctrl-C; what was trained is kept where there is ``out``.
    """
    declared = find_task(task)
    given = {
        "out": None if out is None else os.fspath(out),
        "encoders": encoders,
        "seeds": seeds,
        "learning_curve": learning_curve,
        "seed": seed,
        "device": device,
        "time_budget": time_budget,
        "resume": resume,
        "force": force,
        "progress": sys.stderr.isatty() if progress is None else progress,
    }
    settings = CompareSettings.read(given, verb="compare")
    checked = options_of(declared).read(options, verb=f"compare {task}")
    command = _python_command(task, data, given, options)
    return compare_task(declared, data, checked, settings, command=command)


def options_of(task: Task) -> type[Options]:
    """The options of a comparison of this task.

    Raises:
        InputError: it cannot be compared.
    """
    if task.compare_options is None:
        able = ", ".join(name for name, each in TASKS.items() if each.compare_options is not None) or "none"
        raise InputError(f"task {task.name!r} cannot be compared: it has no contest. Tasks that have: {able}")
    return task.compare_options


def compare_task(
    task: Task,
    data: Any,
    options: Options,
    settings: CompareSettings,
    *,
    command: str,
    door: Door = "python",
) -> Comparison:
    """:func:`compare` with its arguments read already; the command line comes in here."""
    from longspan.studies.compare_course import chosen_encoders

    options_of(task)
    chosen_encoders(settings.encoders, "")  # a name that there is not is refused before the data are read
    place = Place.check(settings, door)
    run = Run(
        seed=settings.seed,
        device=settings.device,
        time_budget=settings.time_budget,
        workspace=None if place is None else place.workspace,
        resume=settings.resume,
        replace=settings.force,
        command=command,
        say=_tell if settings.progress else _LOG.info,
        progress=settings.progress,
    )
    fresh = place is not None and not os.path.lexists(place.workspace)
    began = time.monotonic()
    contest = task.load_work().contest(data, options, run)
    try:
        with _opened(contest, task, options, settings, run) or nullcontext() as workspace:
            found = _compared(contest, task, options, settings, run, workspace, began)
    except BaseException:
        if place is not None and fresh and not holds_parts(place.workspace):
            place.clear()  # nothing to go on from, so nothing is left
        raise
    if place is not None:
        found.write(place.out, force=settings.force)
        place.clear()
    return found


def _opened(
    contest: Contest, task: Task, options: Options, settings: CompareSettings, run: Run
) -> Workspace | None:
    """The work folder, locked for this process, or None where nothing is kept on disk."""
    if run.workspace is None:
        return None
    import torch

    from longspan.store.workspace import Run as Begun
    from longspan.store.workspace import Workspace

    threads = torch.get_num_threads()
    begun = Begun(_kept(task, options, settings), contest.data_sha256, run.seed, threads, contest.device)
    if run.resume:
        return Workspace.resume(run.workspace, begun)
    return Workspace.create(run.workspace, begun, replace=run.replace)


def _kept(task: Task, options: Options, settings: CompareSettings) -> dict[str, Any]:
    """Everything that the result depends on."""
    own = ("encoders", "seeds", "learning_curve", "time_budget")
    return {"compare": task.name} | options.given() | {name: settings.given()[name] for name in own}


def _compared(
    contest: Contest,
    task: Task,
    options: Options,
    settings: CompareSettings,
    run: Run,
    workspace: Workspace | None,
    began: float,
) -> Comparison:
    from longspan.models.session import Budget, Session
    from longspan.studies.compare_course import chosen_encoders, matched, run_contest
    from longspan.studies.compare_record import Made
    from longspan.studies.course import machine
    from longspan.training.progress import choose_progress

    budget = Budget(run.time_budget)
    session = Session(run.seed, budget, workspace, run.say, lambda: choose_progress(quiet=not run.progress))
    session.begin(began)
    field = matched(contest, chosen_encoders(settings.encoders, contest.encoder))
    course = run_contest(contest, field, session, seeds=settings.seeds, shares=settings.shares)
    made = Made(
        task=task.name,
        title=contest.title,
        measure=contest.measure,
        unit=contest.units.word,
        length=contest.length,
        facts=contest.facts(),
        encoder=contest.encoder,
        seeds=settings.seeds,
        seed=run.seed,
        command=run.command,
        budget=None if budget.total is None or course.allotted is None else (budget.total, course.allotted),
        settings=_kept(task, options, settings),
        machine=machine(),
        data_sha256=contest.data_sha256,
        notes=course.notes,
    )
    found = Comparison(made, course.parts)
    run.say(found.verdict.words)
    return found


def _python_command(task: str, data: Any, given: dict[str, Any], options: dict[str, Any]) -> str:
    """The call, for the records; data that are no path are named by their library."""
    path = isinstance(data, str | os.PathLike)
    source = repr(str(data)) if path else f"<{type(data).__module__.split('.')[0]} data>"
    fields = CompareSettings.model_fields
    changed = {
        key: value
        for key, value in given.items()
        if key not in ("progress", "resume", "force") and value != fields[key].default
    }
    words = [repr(task), source, *(f"{key}={value!r}" for key, value in (changed | options).items())]
    return f"longspan.compare({', '.join(words)})"


def _tell(line: str) -> None:
    sys.stderr.write(line.rstrip("\n") + "\n")
    sys.stderr.flush()
