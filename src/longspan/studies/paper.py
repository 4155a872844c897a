"""Published experiments, run again: was it reproduced?

    outcome = longspan.paper("embedded-reber", out="reber")
    print(outcome.sentence)

Light: torch comes in with the study's own work.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic

from longspan.core.errors import InputError
from longspan.studies.catalogue import find_study
from longspan.studies.folder import Place, write_folder
from longspan.studies.study import Outcome, Scale, Study
from longspan.tasks.base import Door, Options, option, spell
from longspan.tasks.place import holds_parts
from longspan.tasks.settings import seconds as seconds_of

if TYPE_CHECKING:
    from longspan.store.workspace import Workspace

__all__ = ["FIGURES", "PAGE", "PaperSettings", "outcome_text", "paper", "run_paper", "write_outcome"]

PAGE = "report.html"
FIGURES = "outcome.json"
_LOG = logging.getLogger("longspan")


class PaperSettings(Options):
    """What every ``paper`` takes."""

    out: str | None = option(None, "folder to write the page and the figures to", min_length=1, metavar="DIR")
    seeds: int | None = option(
        None, "times that each network is trained; as many as the study has unless given", ge=1, le=1000
    )
    time_budget: float | None = option(
        None, "longest time for all of it, in seconds or as 90s, 15m, 2h; what it does not allow is left out"
    )
    smoke: bool = option(False, "everything small, to see that it runs; it gives no verdict")
    resume: bool = option(False, "go on where an earlier run with the same out stopped")
    force: bool = option(False, "replace what is at out, and start anew")

    @pydantic.field_validator("time_budget", mode="before")
    @classmethod
    def _seconds(cls, value: Any) -> Any:
        try:
            return None if value is None else seconds_of(value)
        except InputError as error:
            raise ValueError(str(error).removeprefix("expected ").split(", got ")[0]) from None


def paper(
    name: str,
    *,
    out: str | os.PathLike[str] | None = None,
    seeds: int | None = None,
    time_budget: float | str | None = None,
    smoke: bool = False,
    resume: bool = False,
    force: bool = False,
    progress: bool | None = None,
) -> Outcome:
    """Run a published experiment again.

    Args:
        name: of the study; ``longspan paper --list`` shows them.
        out: folder for ``report.html`` and ``outcome.json``; None writes nothing. With a folder each seed's
            result is kept as it ends, in ``OUT.partial``.
        seeds: times that each network is trained; as many as the study has where None.
        time_budget: longest time for all of it, in seconds or as ``"15m"``. What it does not allow is left
            out and said, and is kept to be gone on with by ``resume``.
        smoke: everything small, to see that it runs; it gives no verdict.
        resume: go on where an earlier run with the same ``out`` stopped; it may have more seeds and time.
        force: replace what is at ``out``, and start anew.
        progress: say on standard error what is done; None does so in a terminal. What is not said goes to
            the logger ``longspan``.

    Raises:
        InputError: there is no such study, or an option is wrong, or ``out`` cannot be used.
        Interrupted: Ctrl-C; what was finished is kept where there is ``out``.
    """
    given = {
        "out": None if out is None else os.fspath(out),
        "seeds": seeds,
        "time_budget": time_budget,
        "smoke": smoke,
        "resume": resume,
        "force": force,
    }
    shown = sys.stderr.isatty() if progress is None else progress
    settings = PaperSettings.read(given, verb="paper")
    return run_paper(find_study(name), settings, _tell if shown else _LOG.info)


def run_paper(
    study: Study, settings: PaperSettings, say: Callable[[str], None], *, door: Door = "python"
) -> Outcome:
    """:func:`paper` with its arguments read already; the command line comes in here."""
    scale = Scale(_seeds(study, settings), settings.smoke, settings.time_budget)
    if settings.out is None:
        if settings.resume:
            raise InputError(f"{spell('resume', door)} needs {spell('out', door)} of the earlier run")
        place = None
    else:
        place = Place.check(settings.out, FIGURES, resume=settings.resume, force=settings.force, door=door)
    from longspan.studies.course import run_study

    try:
        with nullcontext() if place is None else _opened(study, settings, place) as workspace:
            outcome = run_study(study, scale, workspace, say)
        if place is not None:
            write_outcome(outcome, place.out, force=settings.force or settings.resume)
            if not outcome.left_out:
                place.clear()
    finally:
        if place is not None and not holds_parts(place.workspace):
            place.clear()  # nothing to go on from, so nothing is left
    return outcome


def _seeds(study: Study, settings: PaperSettings) -> tuple[int, ...]:
    count = settings.seeds or (min(2, study.seeds) if settings.smoke else study.seeds)
    return tuple(range(count))


def _opened(study: Study, settings: PaperSettings, place: Place) -> Workspace:
    """The work folder, locked for this process. Seeds and time may differ from those of an earlier run."""
    import torch

    from longspan.store.workspace import Run, Workspace

    kept: dict[str, Any] = {each.name: each.here for each in study.settings}
    kept |= {"study": study.name, "smoke": settings.smoke}
    begun = Run(kept, "", 0, torch.get_num_threads())
    if settings.resume:
        return Workspace.resume(place.workspace, begun)
    return Workspace.create(place.workspace, begun, replace=settings.force)


def outcome_text(outcome: Outcome) -> str:
    """The outcome as JSON text."""
    return json.dumps(outcome.to_json(), ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def write_outcome(outcome: Outcome, path: str | os.PathLike[str], *, force: bool = False) -> Path:
    """Write ``report.html`` and ``outcome.json`` into a new folder, whole or not at all.

    Raises:
        InputError: something is there, and ``force`` is off or it is no outcome of a study.
        ModelError: it could not be written.
    """
    from longspan.studies.paper_page import paper_page

    files = {PAGE: paper_page(outcome), FIGURES: outcome_text(outcome)}
    return write_folder(Path(path), files, FIGURES, replace=force)


def _tell(line: str) -> None:
    sys.stderr.write(line.rstrip("\n") + "\n")
    sys.stderr.flush()
